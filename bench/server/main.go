// Command server plays the API server of a cluster at the limits of Kubernetes, for the benchmarks: it renders objects
// as fast as a consumer could ever read them, and changes them at a set rate.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	var size sizes
	flag.IntVar(&size.pods, "pods", 150_000, "how many pods there are at the beginning")
	flag.IntVar(&size.nodes, "nodes", 5_000, "how many nodes")
	flag.IntVar(&size.owners, "owners", 3_000, "how many Deployments, each with a ReplicaSet, a Service and its slice")
	flag.IntVar(&size.namespaces, "namespaces", 300, "how many namespaces")
	flag.IntVar(&size.events, "events", 20_000, "how many Events at the beginning")
	flag.Float64Var(&size.broken, "broken", 0.02, "the share of pods that do not work at the beginning")
	flag.BoolVar(&size.adversarial, "adversarial", false, "make all statuses different")
	listen := flag.String("listen", "127.0.0.1:0", "where to listen; the address is printed")
	noWatchList := flag.Bool("no-watch-list", false, "refuse streamed lists, as Kubernetes 1.33 does by default")
	bookmarks := flag.Duration("bookmarks", time.Minute, "how often a quiet watch gets a bookmark")
	secure := flag.String("tls", "", "serve TLS, and write the CA certificate to this file")
	dump := flag.String("dump", "", "write all objects to this file as `kubectl get -o json` does, and end")
	lines := flag.Bool("lines", false, "write the dump with one object a line")
	flag.Parse()

	world, err := newWorld(size)
	if err != nil {
		log.Fatal(err)
	}
	s := &server{world: world, stats: newStats(), noWatchList: *noWatchList, bookmarkEvery: *bookmarks}
	if *dump != "" {
		if err := s.dump(*dump, *lines); err != nil {
			log.Fatal(err)
		}
		return
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	scheme := "http"
	if *secure != "" {
		scheme = "https"
		listener = tls.NewListener(listener, certificate(*secure))
	}
	fmt.Printf("%s://%s\n", scheme, listener.Addr())
	web := &http.Server{Handler: s.routes()}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	go func() {
		<-stop.Done()
		web.Close()
	}()
	if err := web.Serve(listener); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, k := range s.kinds {
		mux.HandleFunc(k.path(), s.serveKind(k))
	}
	for _, own := range []*store{
		newStore(s, "ClusterDiagnosis", "kubedx.dev", "v1alpha1", "clusterdiagnoses", false),
		newStore(s, "DiagnosisPolicy", "kubedx.dev", "v1alpha1", "diagnosispolicies", false),
		newStore(s, "Lease", "coordination.k8s.io", "v1", "leases", true),
	} {
		own.register(mux)
		s.own = append(s.own, own)
	}
	s.registerDiscovery(mux)
	s.registerControls(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.stats.count("unknown " + r.URL.Path)
		refuse(w, 404, "NotFound", "the server could not find the requested resource")
	})
	return mux
}

// certificate makes a certificate for the loopback interface, which is its own CA.
func certificate(caFile string) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	made := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubedx benchmark"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &made, &made, &key.PublicKey, key)
	if err != nil {
		log.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(caFile, text, 0o600); err != nil {
		log.Fatal(err)
	}
	pair := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
}
