package export

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

const webID = "spiffe://example.org/ns/prod/sa/web"

// svid is a workload's bundle, below a root with a key of type k.
func svid(t testing.TB, k profiles.KeyType) *pki.Bundle {
	t.Helper()
	root := pkitest.NewRoot(t, pki.CARequest{Key: k, PathLen: pki.NoPathLen})
	return pkitest.Issue(t, pkitest.NewIntermediate(t, root, pki.CARequest{}), profiles.SPIFFE(), pki.Request{SANs: pkitest.SANs(t, webID)})
}

// readJWKs reads what SPIFFE Trust Domain and Bundle section 4 says of a
// document, and returns its CAs.
func readJWKs(t *testing.T, data []byte) (roots []*x509.Certificate) {
	t.Helper()
	var doc struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	for _, k := range doc.Keys {
		x5c, _ := k["x5c"].([]any)
		if k["use"] != "x509-svid" || len(x5c) != 1 || k["kid"] != nil {
			t.Fatalf("X509-SVID section 6.1 does not have: %v", k)
		}
		der, err := base64.StdEncoding.DecodeString(fmt.Sprint(x5c[0]))
		if err != nil {
			t.Fatal(err)
		}
		root, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if !pki.SamePublicKey(root.PublicKey, publicKey(t, k)) {
			t.Errorf("the key of the entry is not that of its certificate: %v", k)
		}
		roots = append(roots, root)
	}
	return roots
}

// publicKey reads the key of a JWK: RFC 7518 section 6, RFC 8037 section 2.
func publicKey(t *testing.T, k map[string]any) crypto.PublicKey {
	t.Helper()
	number := func(name string) []byte {
		text, _ := k[name].(string)
		data, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(data) == 0 {
			t.Fatalf("%s of %v: %v", name, k, err)
		}
		return data
	}
	switch k["kty"] {
	case "EC":
		curve := map[any]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[k["crv"]]
		pub, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, number("x"), number("y")))
		if err != nil || len(number("x")) != (curve.Params().BitSize+7)/8 {
			t.Fatalf("%v: %v", k, err)
		}
		return pub
	case "RSA":
		return &rsa.PublicKey{N: new(big.Int).SetBytes(number("n")), E: int(new(big.Int).SetBytes(number("e")).Int64())}
	case "OKP":
		return ed25519.PublicKey(number("x"))
	}
	t.Fatalf("no key is of type %v", k["kty"])
	return nil
}

// go-spiffe verifies a workload against the bundle, for every type of root.
func TestSPIFFEBundle(t *testing.T) {
	t.Parallel()
	domain := spiffeid.RequireTrustDomainFromString("example.org")
	for _, k := range profiles.KeyTypes() {
		b := svid(t, k)
		f := file(t, SPIFFEBundle{}, b)
		if f.Name != "example.org.json" || f.Private || strings.Contains(string(f.Data), "spiffe_") {
			t.Errorf("%s: the file is %s, private %v:\n%s", k, f.Name, f.Private, f.Data)
		}
		roots := readJWKs(t, f.Data)
		if len(roots) != 1 || !roots[0].Equal(b.Roots[0]) {
			t.Errorf("%s: the roots are %v", k, roots)
		}
		id, chains, err := x509svid.Verify(b.Chain, x509bundle.FromX509Authorities(domain, roots), x509svid.WithTime(pkitest.Clock()))
		if err != nil || id.String() != webID || len(chains) != 1 {
			t.Errorf("%s: go-spiffe reads %s, %d chains, %v", k, id, len(chains), err)
		}
	}
}

func TestSPIFFEBundleOptions(t *testing.T) {
	t.Parallel()
	b := svid(t, profiles.ECP256)
	// Before and after a change of roots.
	b.Roots = append(slices.Clone(b.Roots), pkitest.NewRoot(t, pki.CARequest{Key: profiles.Ed25519, Subject: pki.Subject{CommonName: "New"}}).Root())
	f := file(t, SPIFFEBundle{Sequence: 7, RefreshHint: 5 * time.Minute, TrustDomain: "spiffe://example.org"}, b)
	if roots := readJWKs(t, f.Data); len(roots) != 2 || !roots[1].Equal(b.Roots[1]) {
		t.Errorf("the roots are %v", roots)
	}
	var got map[string]any
	if err := json.Unmarshal(f.Data, &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "keys")
	if diff := cmp.Diff(map[string]any{"spiffe_sequence": 7.0, "spiffe_refresh_hint": 300.0}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// An authority: by flag, or by the SPIFFE ID that a CA of the chain has.
	ca := pkitest.Issuing(t)
	authority := &pki.Bundle{Chain: ca.Chain(), Roots: ca.Roots()}
	if f := file(t, SPIFFEBundle{TrustDomain: "other.test"}, authority); f.Name != "other.test.json" {
		t.Errorf("the file is %s", f.Name)
	}
	named := *ca.Root()
	named.URIs = []*url.URL{{Scheme: "https", Host: "example.com"}, {Scheme: "spiffe", Host: "root.test"}}
	authority.Roots = []*x509.Certificate{&named}
	if f := file(t, SPIFFEBundle{}, authority); f.Name != "root.test.json" {
		t.Errorf("the file is %s", f.Name)
	}
}

func TestSPIFFEBundleErrors(t *testing.T) {
	t.Parallel()
	b := svid(t, profiles.ECP256)
	for name, tt := range map[string]struct {
		format             SPIFFEBundle
		bundle             *pki.Bundle
		option, suggestion string
		words              string
	}{
		"no domain":      {SPIFFEBundle{}, alice(t), "trust-domain", "example.org", "no SPIFFE ID"},
		"no good domain": {SPIFFEBundle{TrustDomain: "Example.org"}, b, "trust-domain", "example.org", "lower-case"},
		"no domain ever": {SPIFFEBundle{TrustDomain: "a b"}, b, "trust-domain", "", "lower-case"},
		"another domain": {SPIFFEBundle{TrustDomain: "other.test"}, b, "trust-domain", "example.org", "are of example.org, by " + webID},
		"half a second":  {SPIFFEBundle{RefreshHint: 1500 * time.Millisecond}, b, "refresh-hint", "5m", "whole seconds"},
		"negative":       {SPIFFEBundle{RefreshHint: -time.Second}, b, "refresh-hint", "5m", "whole seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.format.Export(tt.bundle)
			wantOption(t, err, tt.option, tt.suggestion, tt.words)
		})
	}
	if _, err := (SPIFFEBundle{}).Export(&pki.Bundle{Chain: b.Chain}); !errors.Is(err, ErrNoRoots) {
		t.Errorf("without roots: error %v", err)
	}
	weak := *b.Roots[0]
	weak.PublicKey = &ecdsa.PublicKey{Curve: elliptic.P224(), X: elliptic.P224().Params().Gx, Y: elliptic.P224().Params().Gy} //nolint:staticcheck // a curve of somebody else's
	unknown := *b.Roots[0]
	unknown.PublicKey = nil
	for root, want := range map[*x509.Certificate]string{
		b.Leaf(): "this is none", &weak: "unsupported/unknown elliptic curve", &unknown: "unknown key type '%!s(<nil>)'",
	} {
		if _, err := (SPIFFEBundle{}).Export(&pki.Bundle{Chain: b.Chain, Roots: []*x509.Certificate{root}}); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
