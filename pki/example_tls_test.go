package pki_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// A test suite makes a CA and issues a server and a client, each with the
// [crypto/tls.Config] of its side of mutual TLS.
func Example() {
	ca := must(pki.NewRoot(pki.CARequest{Subject: pki.Subject{CommonName: "Test CA"}}, nil))
	names := must(pki.SANs("localhost", "127.0.0.1"))
	server := must(ca.Issue(profiles.Server(), pki.Request{SANs: names}))
	client := must(ca.Issue(profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "alice"}}))

	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello, %s", r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	s.TLS = server.ServerTLS()
	s.StartTLS()
	defer s.Close()

	c := &http.Client{Transport: &http.Transport{TLSClientConfig: client.ClientTLS()}}
	resp, err := c.Get(s.URL)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(must(io.ReadAll(resp.Body))))
	_ = resp.Body.Close()
	// Output: hello, alice
}
