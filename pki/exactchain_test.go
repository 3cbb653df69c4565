package pki_test

import (
	"crypto"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	cmpki "github.com/cert-manager/cert-manager/pkg/util/pki"
	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// The certificates of a CA's Secret, and what stands in the Secrets of what it
// signs; cert-manager's own code is asked as well.
func TestChainOf(t *testing.T) {
	t.Parallel()
	keys := map[string]crypto.Signer{
		"root": pkitest.Key(t, profiles.ECP256, pkitest.RootKey), "int1": pkitest.Key(t, profiles.ECP256, pkitest.IssuingKey),
		"int2": pkitest.Key(t, profiles.ECP384, pkitest.IssuingKey), "stranger": pkitest.Key(t, profiles.ECP384, pkitest.RootKey),
		"sibling": pkitest.Key(t, profiles.ECP521, pkitest.IssuingKey),
	}
	made := map[string]*x509.Certificate{}
	for _, c := range [][2]string{{"root", "root"}, {"int1", "root"}, {"int2", "int1"}, {"stranger", "stranger"}, {"sibling", "root"}} {
		r := exact(t, func(r *pki.ExactRequest) {
			r.Subject, r.CA, r.KeyUsage, r.Duration = exactName(t, c[0]), true, x509.KeyUsageCertSign, 10*year
			r.Key, r.PublicKey = "", keys[c[0]].Public()
		})
		if c[0] == c[1] {
			made[c[0]] = selfSignedCA(t, r, keys[c[0]]).Certificate()
			continue
		}
		by := pkitest.Authority(t, pki.AuthorityConfig{Chain: []*x509.Certificate{made[c[1]]}, Signer: keys[c[1]]})
		d, err := by.PrepareExact(r)
		if err != nil {
			t.Fatal(err)
		}
		if made[c[0]], err = by.Sign(d, nil); err != nil {
			t.Fatal(err)
		}
	}
	certs := func(names string) (all []*x509.Certificate) {
		for n := range strings.FieldsSeq(names) {
			all = append(all, made[n])
		}
		return all
	}
	leafKey := pkitest.Key(t, profiles.ECP256, pkitest.LeafKey).Public()
	for _, tt := range []struct{ tlsCrt, caCrt, wantTLS, wantCA, err string }{
		{"root", "root", "leaf", "root", ""},
		{"root", "", "leaf", "root", ""},
		{"int1", "root", "leaf int1", "root", ""},
		{"int1", "", "leaf int1", "int1", ""},
		{"int1", "int1", "leaf int1", "int1", ""},
		{"int1 root", "", "leaf int1", "root", ""},
		{"int1 root", "root", "leaf int1", "root", ""},
		{"int1 root int1", "root", "leaf int1", "root", ""},
		{"int2 int1", "root", "leaf int2 int1", "root", ""},
		{"int2 root int1", "", "leaf int2 int1", "root", ""},
		{"int2 int1", "", "leaf int2 int1", "int1", ""},
		{"int1", "root stranger", "leaf int1", "root", ""}, // only the first of ca.crt counts
		{"int2", "root", "", "", `broken chain: no certificate here joins "int2" to "root"`},
		{"int1", "stranger", "", "", `broken chain: no certificate here joins "int1" to "stranger"`},
		{"int1", "stranger root", "", "", `broken chain: no certificate here joins "int1" to "stranger"`},
		{"root int1", "", "", "", `broken chain: "root", the first of tls.crt, has signed another one in it`},
		{"int1 sibling", "root", "", "", "broken chain: they do not stand one below the other"},
		{"", "root", "", "", "tls.crt: no certificate in it"},
	} {
		name := tt.tlsCrt + " | " + tt.caCrt
		chain, err := pki.ChainOf(certs(tt.tlsCrt), certs(tt.caCrt))
		if tt.err != "" {
			if chain != nil || err == nil || err.Error() != tt.err || errors.Is(err, pki.ErrBrokenChain) != strings.HasPrefix(tt.err, "broken") {
				t.Errorf("%s:\ngot  %v\nwant %s", name, err, tt.err)
			}
			if tt.tlsCrt == "" {
				continue
			}
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		pool := certs(tt.tlsCrt)
		pool = append(pool, certs(tt.caCrt)[:min(1, len(certs(tt.caCrt)))]...)
		by := pkitest.Authority(t, pki.AuthorityConfig{Chain: certs(tt.tlsCrt)[:1], Signer: keys[strings.Fields(tt.tlsCrt)[0]]})
		if err == nil {
			by = pkitest.Authority(t, pki.AuthorityConfig{Chain: chain, Signer: keys[strings.Fields(tt.tlsCrt)[0]]})
		}
		d, prepareErr := by.PrepareExact(exact(t, func(r *pki.ExactRequest) { r.Subject = exactName(t, "leaf") }))
		if prepareErr != nil {
			t.Fatal(prepareErr)
		}
		leaf, signErr := by.Sign(d, leafKey)
		if signErr != nil {
			t.Fatal(signErr)
		}
		theirs, theirErr := cmpki.ParseSingleCertificateChain(append(pool, leaf))
		if (theirErr == nil) != (tt.err == "") {
			t.Errorf("%s: cert-manager says %v", name, theirErr)
		}
		if tt.err != "" {
			continue
		}
		b := pki.Bundle{Chain: by.ChainFor(leaf), Roots: []*x509.Certificate{by.Root()}}
		if diff := cmp.Diff([]string{tt.wantTLS, tt.wantCA}, []string{subjects(b.Chain), subjects(b.Roots)}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff([]string{string(theirs.ChainPEM), string(theirs.CAPEM)}, []string{string(b.ChainPEM()), string(b.RootsPEM())}); diff != "" {
			t.Errorf("%s (-cert-manager +ours):\n%s", name, diff)
		}
		// Above the leaf the same certificates stand, but for a root alone.
		want := strings.TrimPrefix(strings.TrimPrefix(tt.wantTLS, "leaf"), " ")
		if want == "" {
			want = tt.wantCA
		}
		if got := subjects(by.Chain()); got != want {
			t.Errorf("%s: Chain() is %s, want %s", name, got, want)
		}
	}
}

func subjects(certs []*x509.Certificate) string {
	names := make([]string, 0, len(certs))
	for _, c := range certs {
		names = append(names, c.Subject.CommonName)
	}
	return strings.Join(names, " ")
}
