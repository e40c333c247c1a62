module kubedx.dev/bench/server

go 1.24
