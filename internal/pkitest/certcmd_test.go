package pkitest_test

import (
	"encoding/pem"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// TestCheckCertificate tries every key with what is true, and with what is not:
// a check that cannot fail checks nothing.
func TestCheckCertificate(t *testing.T) {
	t.Parallel()
	constraint := func(s string) pki.Constraint {
		c, err := pki.ParseConstraint(s)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	root := pkitest.NewRoot(t, pki.CARequest{
		Subject: pki.Subject{CommonName: "Test root CA", Organizations: []string{"Acme"}}, PathLen: 1,
		Permit: []pki.Constraint{constraint("example.com"), constraint("10.0.0.0/8")}, Exclude: []pki.Constraint{constraint("x.example.com")},
	})
	issuing := pkitest.NewIntermediate(t, root, pki.CARequest{})
	urls := pki.URLs{CRL: []string{"http://a.example/c.crl"}, AIA: []string{"http://a.example/c.crt"}, OCSP: []string{"http://a.example/ocsp"}}
	publishing := pkitest.Authority(t, pki.AuthorityConfig{Chain: issuing.FullChain(), Signer: pkitest.Key(t, profiles.ECP256, pkitest.IssuingKey), URLs: urls})
	b := pkitest.Issue(t, publishing, profiles.Peer(), pki.Request{
		Subject: pki.Subject{CommonName: "web"}, SANs: pkitest.SANs(t, "web.example.com", "10.0.0.7"),
	})
	names := pkitest.Issue(t, pkitest.Issuing(t), profiles.Client(), pki.Request{
		SANs: pkitest.SANs(t, "a@example.com", "https://example.com/x"), Lifetime: pki.Lifetime{Validity: 36 * 3600e9},
	})
	files := map[string][]byte{
		"web": b.ChainPEM(), "names": names.ChainPEM(), "root": pki.MarshalCertificates(root.Chain()), "issuing": pki.MarshalCertificates(issuing.Chain()),
		"other": pki.MarshalCertificates(pkitest.Root(t).Chain()), "der": b.Leaf().Raw,
		"key": pkitest.KeyPEM(t, profiles.ECP256, pkitest.LeafKey), "other key": pkitest.KeyPEM(t, profiles.ECP256, pkitest.RootKey),
		"broken chain": append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.Leaf().Raw}), pki.MarshalCertificates(root.Chain())...),
		"empty":        nil, "text": []byte("hello"),
	}
	read := func(name string) ([]byte, error) {
		data, ok := files[name]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return data, nil
	}
	for _, tt := range []struct{ file, good, bad string }{
		{"web", "dns=web.example.com", "dns=web"},
		{"web", "ip=10.0.0.7", "ip=10.0.0.8"},
		{"names", "email=a@example.com", "email=a@example.org"},
		{"names", "uri=https://example.com/x", "uri=https://example.com/"},
		{"names", "uri=https://example.com/x", "spiffe=https://example.com/x"},
		{"web", "sans=dns:web.example.com,ip:10.0.0.7", "sans=dns:web.example.com"},
		{"root", "sans=", "sans=dns:a"},
		{"web", "san-critical=false", "san-critical=true"},
		{"names", "san-critical=true", "san-critical=false"},
		{"root", "san-critical=absent", "san-critical=false"},
		{"web", "cn=web", "cn=Web"},
		{"names", "cn=", "cn=web"},
		{"root", "subject=CN=Test root CA,O=Acme", "subject=CN=Test root CA"},
		{"web", "issuer-name=CN=Test issuing CA", "issuer-name=CN=web"},
		{"web", "eku=serverAuth,clientAuth", "eku=serverAuth"},
		{"root", "eku=", "eku=serverAuth"},
		{"web", "ku=digitalSignature", "ku=digitalSignature,keyEncipherment"},
		{"root", "ku=keyCertSign,cRLSign", "ku="},
		{"root", "ca=true", "ca=false"},
		{"web", "ca=false", "ca=true"},
		{"root", "ca-critical=true", "ca-critical=false"},
		{"root", "pathlen=1", "pathlen=none"},
		{"issuing", "pathlen=0", "pathlen=none"},
		{"other", "pathlen=none", "pathlen=0"},
		{"root", "permitted=dns:example.com,ip:10.0.0.0/8", "permitted=dns:example.com"},
		{"root", "excluded=dns:x.example.com", "excluded="},
		{"root", "constraints-critical=true", "constraints-critical=absent"},
		{"web", "crl=http://a.example/c.crl", "crl="},
		{"web", "aia=http://a.example/c.crt", "aia=http://a.example/c.crl"},
		{"web", "ocsp=http://a.example/ocsp", "ocsp="},
		{"web", "key=ec-p256", "key=ec-p384"},
		{"web", "sigalg=ECDSA-SHA256", "sigalg=ECDSA-SHA384"},
		{"web", "days=365", "days=364"},
		{"names", "days=1+12h0m0s", "days=1"},
		{"web", "notbefore=2026-06-15T11:59:00Z", "notbefore=2026-06-15T12:00:00Z"},
		{"web", "notafter=2027-06-15T11:59:00Z", "notafter=2027-06-15T12:00:00Z"},
		{"web", "serial-bytes=16", "serial-bytes=8"},
		{"web", "issuer=issuing", "issuer=root"},
		{"web", "issuer=issuing", "issuer=nothing"},
		{"root", "issuer=root", "issuer=other"},
		{"web", "keymatch=key", "keymatch=other key"},
		{"web", "keymatch=key", "keymatch=empty"},
		{"web", "chain=2", "chain=1"},
		{"web", "count=2", "count=1"},
		{"broken chain", "count=2", "chain=2"},
		{"der", "cn=web", "count=2"},
		{"web", "index=1", "index=2"},
		{"web", "index=0", "index=x"},
		{"web", "cn=web", "nothing=x"},
		{"web", "cn=web", "cn"},
		{"web", "cn=web", "cn!web"},
	} {
		if err := pkitest.CheckCertificate(read, []string{tt.file, tt.good}); err != nil {
			t.Errorf("cert %s %s: %v", tt.file, tt.good, err)
		}
		// One wrong among right ones is found.
		err := pkitest.CheckCertificate(read, []string{tt.file, tt.good, tt.bad, tt.good})
		if err == nil {
			t.Errorf("cert %s %s is no error", tt.file, tt.bad)
		} else if strings.Contains(tt.bad, "=") && !strings.Contains(err.Error(), "found:\n  ") {
			t.Errorf("cert %s %s: %v: it does not say what was found", tt.file, tt.bad, err)
		}
	}
	if err := pkitest.CheckCertificate(read, []string{"web", "index=1", "cn=Test issuing CA", "issuer=root", "index=0", "cn=web"}); err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{nil, {"web"}, {"nothing", "cn=a"}, {"empty", "cn="}, {"text", "cn="}, {"key", "cn="}} {
		if err := pkitest.CheckCertificate(read, args); err == nil {
			t.Errorf("cert %q is no error", args)
		} else if len(args) > 0 && args[0] == "nothing" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("cert %q: %v", args, err)
		}
	}
}
