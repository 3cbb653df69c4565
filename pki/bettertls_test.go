package pki_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// TestBetterTLSNameConstraints goes through the combinations that BetterTLS
// (https://github.com/Netflix/bettertls, name constraints) puts together: names
// that fit and names that do not, as SAN and as common name, under an authority
// that permits or excludes DNS names and addresses. crypto/x509 and OpenSSL judge
// the same leaf, signed past all checks.
//
// What Prepare accepts, both accept; what it refuses, one of them refuses.
func TestBetterTLSNameConstraints(t *testing.T) {
	t.Parallel()
	openssl := pkitest.Program(t, "openssl")
	const goodDNS, badDNS, goodIP, badIP = "www.good.example", "www.bad.example", "10.1.2.3", "192.0.2.3"
	constraint := map[string]string{goodDNS: "good.example", badDNS: "bad.example", goodIP: "10.0.0.0/8", badIP: "192.0.2.0/24"}
	subtrees := func(names []string) (all []pki.Constraint) {
		for _, n := range names {
			c, err := pki.ParseConstraint(constraint[n])
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
		return all
	}
	server, err := profiles.New("server", profiles.Config{Usages: []string{"digital signature", "server auth"}})
	if err != nil {
		t.Fatal(err)
	}
	key := pkitest.Key(t, profiles.ECP256, pkitest.RootKey)
	leafKey := pkitest.Key(t, profiles.ECP256, pkitest.LeafKey)
	accepted, refused := 0, 0
	for _, permit := range [][]string{nil, {goodDNS}, {goodIP}, {goodDNS, goodIP}, {badDNS}, {badIP}} {
		for _, exclude := range [][]string{nil, {goodDNS}, {goodIP}, {badDNS}, {badIP}, {badDNS, badIP}} {
			draft, err := pki.PrepareRoot(pki.CARequest{
				Subject: pki.Subject{CommonName: "Constrained CA"}, Permit: subtrees(permit), Exclude: subtrees(exclude),
			}, pkitest.Clock())
			if err != nil {
				t.Fatal(err)
			}
			root, err := pki.SignRoot(draft, key)
			if err != nil {
				t.Fatal(err)
			}
			ca, err := pki.NewAuthority(pki.AuthorityConfig{Chain: []*x509.Certificate{root}, Signer: key, Now: pkitest.Clock})
			if err != nil {
				t.Fatal(err)
			}
			var cases []betterCase
			for _, cn := range []string{"", goodDNS, badDNS, "A person"} {
				for _, sans := range [][]string{nil, {goodDNS}, {badDNS}, {goodIP}, {badIP}, {goodDNS, goodIP}, {goodDNS, badIP}, {badDNS, goodIP}, {goodDNS, badDNS}} {
					if cn == "" && sans == nil {
						continue
					}
					c := betterCase{name: fmt.Sprintf("permit %v, exclude %v, CN %q, SANs %v", permit, exclude, cn, sans)}
					request := pki.Request{Subject: pki.Subject{CommonName: cn}, PublicKey: leafKey.Public()}
					if request.SANs, err = pki.SANs(sans...); err != nil {
						t.Fatal(err)
					}
					_, err := ca.Prepare(server, request)
					var violation *pki.ConstraintError
					if err != nil && !errors.As(err, &violation) {
						t.Fatalf("%s: %v", c.name, err)
					}
					c.refused = err != nil
					template := &x509.Certificate{
						SerialNumber: big.NewInt(int64(len(cases) + 2)), Subject: pkix.Name{CommonName: cn},
						NotBefore: pkitest.Clock().Add(-time.Minute), NotAfter: pkitest.Clock().Add(time.Hour),
						KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
					}
					for _, n := range sans {
						if ip := net.ParseIP(n); ip != nil {
							template.IPAddresses = append(template.IPAddresses, ip)
						} else {
							template.DNSNames = append(template.DNSNames, n)
						}
					}
					der, err := x509.CreateCertificate(rand.Reader, template, root, leafKey.Public(), key)
					if err != nil {
						t.Fatal(err)
					}
					if c.leaf, err = x509.ParseCertificate(der); err != nil {
						t.Fatal(err)
					}
					cases = append(cases, c)
				}
			}
			byOpenSSL := opensslVerdicts(t, openssl, root, cases)
			for i, c := range cases {
				pool := x509.NewCertPool()
				pool.AddCert(root)
				_, goErr := c.leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: pkitest.Clock()})
				switch judged := goErr != nil || byOpenSSL[i]; {
				case c.refused && !judged:
					t.Errorf("%s: Prepare refuses what crypto/x509 and OpenSSL accept", c.name)
				case !c.refused && judged:
					t.Errorf("%s: Prepare accepts it; crypto/x509: %v; OpenSSL refuses: %v", c.name, goErr, byOpenSSL[i])
				}
				if c.refused {
					refused++
				} else {
					accepted++
				}
			}
		}
	}
	if accepted < 100 || refused < 100 {
		t.Errorf("%d accepted and %d refused: that is no test", accepted, refused)
	}
}

type betterCase struct {
	name    string
	leaf    *x509.Certificate
	refused bool // by Prepare
}

// opensslVerdicts says which leaves OpenSSL refuses, in one run.
func opensslVerdicts(t *testing.T, openssl string, root *x509.Certificate, cases []betterCase) []bool {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, c *x509.Certificate) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pki.MarshalCertificates([]*x509.Certificate{c}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	args := []string{"verify", "-attime", fmt.Sprint(pkitest.Clock().Unix()), "-CAfile", write("ca.pem", root)}
	for i := range cases {
		args = append(args, write(fmt.Sprintf("%d.pem", i), cases[i].leaf))
	}
	out, _ := exec.Command(openssl, args...).CombinedOutput() // it fails if one leaf does
	verdicts := make([]bool, len(cases))
	for i := range cases {
		verdicts[i] = !strings.Contains(string(out), fmt.Sprintf("/%d.pem: OK", i))
	}
	return verdicts
}
