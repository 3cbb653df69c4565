package pki_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// An X.509-SVID for a workload, and what it is allowed to be used for.
func Example_spiffe() {
	ca, err := pki.NewRoot(pki.CARequest{Subject: pki.Subject{CommonName: "example.org"}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	id, err := pki.NewSAN(profiles.KindSPIFFE, "spiffe://example.org/ns/prod/sa/web")
	if err != nil {
		log.Fatal(err)
	}
	svid, err := ca.Issue(profiles.SPIFFE(), pki.Request{SANs: []pki.SAN{id}})
	if err != nil {
		log.Fatal(err)
	}
	leaf := svid.Leaf()
	fmt.Println(leaf.URIs[0])
	fmt.Println(profiles.FormatUsages(leaf.KeyUsage, leaf.ExtKeyUsage))
	// Output:
	// spiffe://example.org/ns/prod/sa/web
	// [digital signature server auth client auth]
}

// A signing request of someone who keeps the key: the profile decides what is
// taken over from it, and what is left behind is told.
func ExampleRequestFromCSR() {
	ca, err := pki.NewRoot(pki.CARequest{Subject: pki.Subject{CommonName: "Test CA"}}, nil)
	if err != nil {
		log.Fatal(err)
	}

	// Theirs.
	key, err := pki.GenerateKey(profiles.Ed25519)
	if err != nil {
		log.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "api", Organization: []string{"Someone else"}},
		DNSNames: []string{"api.example.com"},
	}, key)
	if err != nil {
		log.Fatal(err)
	}
	theirs := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})

	// Ours.
	csr, err := pki.ParseCSR(theirs)
	if err != nil {
		log.Fatal(err)
	}
	request, left, err := pki.RequestFromCSR(profiles.Server(), csr)
	if err != nil {
		log.Fatal(err)
	}
	bundle, err := ca.Issue(profiles.Server(), request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("subject:", bundle.Leaf().Subject)
	fmt.Println("names:", pki.SANsOf(bundle.Leaf()))
	fmt.Println("left behind:", left)
	fmt.Println("key here:", bundle.Key != nil)
	// Output:
	// subject: CN=api
	// names: [DNS api.example.com]
	// left behind: [O=Someone else]
	// key here: false
}

// What can be refused is refused before a key is used.
func ExampleAuthority_Prepare() {
	root, err := pki.NewRoot(pki.CARequest{Subject: pki.Subject{CommonName: "Test CA"}, PathLen: 1}, nil)
	if err != nil {
		log.Fatal(err)
	}
	ours, err := pki.ParseConstraint("example.com")
	if err != nil {
		log.Fatal(err)
	}
	ca, err := root.NewIntermediate(pki.CARequest{Subject: pki.Subject{CommonName: "Web CA"}, Permit: []pki.Constraint{ours}})
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range []string{"api.example.com", "api.example.org"} {
		names, err := pki.SANs(name)
		if err != nil {
			log.Fatal(err)
		}
		draft, err := ca.Prepare(profiles.Server(), pki.Request{SANs: names})
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(draft.Template().DNSNames, draft.KeyType())
	}
	// Output:
	// [api.example.com] EC P-256
	// the name constraints of "Web CA": DNS name "api.example.org" is not permitted by any constraint
}

// A bundle is what tls.X509KeyPair and every server reads.
func ExampleBundle() {
	ca, err := pki.NewRoot(pki.CARequest{Subject: pki.Subject{CommonName: "Test CA"}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	bundle, err := ca.Issue(profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "alice"}})
	if err != nil {
		log.Fatal(err)
	}
	key, err := bundle.KeyPEM()
	if err != nil {
		log.Fatal(err)
	}
	pair, err := tls.X509KeyPair(bundle.ChainPEM(), key)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(pair.Leaf.Subject, "by", pair.Leaf.Issuer)
	// Output: CN=alice by CN=Test CA
}
