package main

import (
	"strconv"
	"time"
)

// The alphabet of the random parts of names (k8s.io/apimachinery/pkg/util/rand): no vowels, so no words.
const alphabet = "bcdfghjklmnpqrstvwxz2456789"

const hexDigits = "0123456789abcdef"

// mix is splitmix64: a cheap hash whose results are all different.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func appendHex(b []byte, x uint64, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, hexDigits[x>>shift&15])
	}
	return b
}

func appendUID(b []byte, seed uint64) []byte {
	high, low := mix(seed), mix(seed^0x5bd1e995)
	b = append(appendHex(b, high>>32, 8), '-')
	b = append(appendHex(b, high>>16&0xffff, 4), '-', '4')
	b = append(appendHex(b, high&0xfff, 3), '-', "89ab"[low>>62])
	b = append(appendHex(b, low>>48&0xfff, 3), '-')
	return appendHex(b, low&0xffffffffffff, 12)
}

func appendRandom(b []byte, seed uint64, letters int) []byte {
	x := mix(seed)
	for range letters {
		b = append(b, alphabet[x%27])
		x /= 27
	}
	return b
}

func appendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }

func appendPadded(b []byte, n, width int) []byte {
	for limit := 10; width > 1; width-- {
		if n < limit {
			b = append(b, '0')
		}
		limit *= 10
	}
	return appendInt(b, n)
}

// days holds the dates from 2020 on, as formatting them would be the dearest part of an object.
var days = func() (d [8192]string) {
	for i := range d {
		d[i] = time.Unix(firstDay+int64(i)*86400, 0).UTC().Format("2006-01-02T")
	}
	return d
}()

const firstDay = 1577836800 // 2020-01-01

func appendTime(b []byte, at int64) []byte {
	since := at - firstDay
	b = append(b, days[since/86400]...)
	s := int(since % 86400)
	return append(b,
		byte('0'+s/36000), byte('0'+s/3600%10), ':', byte('0'+s/600%6), byte('0'+s/60%10), ':',
		byte('0'+s/10%6), byte('0'+s%10), 'Z')
}
