package pki_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	zx509 "github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

const week = 7 * 24 * time.Hour

// everyReason is a revocation for each reason, and a serial of 20 bytes.
func everyReason() (all []pki.Revocation) {
	for i, r := range pki.Reasons() {
		at := pkitest.Clock().Add(-time.Duration(i) * time.Hour)
		all = append(all, pki.Revocation{Serial: big.NewInt(int64(1000 - i)), At: at, Reason: r})
	}
	long := new(big.Int).SetBit(big.NewInt(7), 158, 1)
	// The other form of a time begins with 2050.
	all = append(all, pki.Revocation{Serial: big.NewInt(2049), At: time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC)},
		pki.Revocation{Serial: big.NewInt(2050), At: time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)})
	return append(all, pki.Revocation{Serial: long, At: pkitest.Clock(), Reason: pki.KeyCompromise})
}

func signCRL(t testing.TB, a *pki.Authority, number int64, revoked []pki.Revocation) *x509.RevocationList {
	t.Helper()
	der, err := a.SignCRL(big.NewInt(number), pkitest.Clock().Add(week), revoked)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	return crl
}

func TestSignCRL(t *testing.T) {
	t.Parallel()
	for _, kind := range []profiles.KeyType{profiles.ECP256, profiles.ECP384, profiles.RSA2048, profiles.Ed25519} {
		a := pkitest.NewRoot(t, pki.CARequest{PathLen: pki.NoPathLen, Key: kind})
		for _, revoked := range [][]pki.Revocation{nil, everyReason()} {
			crl := signCRL(t, a, 7, revoked)
			if err := crl.CheckSignatureFrom(a.Certificate()); err != nil {
				t.Errorf("%s: %v", string(kind), err)
			}
			if crl.Number.Int64() != 7 || !crl.ThisUpdate.Equal(pkitest.Clock()) || !crl.NextUpdate.Equal(pkitest.Clock().Add(week)) {
				t.Errorf("number %v, %v to %v", crl.Number, crl.ThisUpdate, crl.NextUpdate)
			}
			if !bytes.Equal(crl.AuthorityKeyId, a.Certificate().SubjectKeyId) || len(crl.AuthorityKeyId) == 0 {
				t.Errorf("authority key identifier %x; want %x", crl.AuthorityKeyId, a.Certificate().SubjectKeyId)
			}
			if !bytes.Equal(crl.RawIssuer, a.Certificate().RawSubject) {
				t.Error("the issuer's name is not encoded as in its certificate")
			}
			var got []pki.Revocation
			for _, e := range crl.RevokedCertificateEntries {
				got = append(got, pki.Revocation{Serial: e.SerialNumber, At: e.RevocationTime, Reason: pki.Reason(e.ReasonCode)})
				// RFC 5280 section 5.3.1: unspecified is said by saying nothing.
				if has := len(e.Extensions) > 0; has != (e.ReasonCode != 0) {
					t.Errorf("reason %d has extensions %v", e.ReasonCode, e.Extensions)
				}
			}
			same := cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })
			if diff := cmp.Diff(revoked, got, same); diff != "" {
				t.Errorf("entries, in their order (-want +got):\n%s", diff)
			}
		}
	}
}

// Times are whole seconds in UTC, whatever the clock has.
func TestSignCRLTimes(t *testing.T) {
	t.Parallel()
	clock := pkitest.Clock().Add(1234 * time.Millisecond).In(time.FixedZone("elsewhere", 3600))
	root := pkitest.Root(t)
	a := pkitest.Authority(t, pki.AuthorityConfig{
		Chain: root.FullChain(), Signer: pkitest.Key(t, profiles.ECP256, pkitest.RootKey), Now: func() time.Time { return clock },
	})
	at := pkitest.Clock().Add(-time.Hour).In(time.FixedZone("elsewhere", -3600))
	der, err := a.SignCRL(big.NewInt(0), clock.Add(time.Hour), []pki.Revocation{{Serial: big.NewInt(1), At: at}})
	if err != nil {
		t.Fatal(err)
	}
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	want := pkitest.Clock().Add(time.Second)
	if !crl.ThisUpdate.Equal(want) || !crl.NextUpdate.Equal(want.Add(time.Hour)) || !crl.RevokedCertificateEntries[0].RevocationTime.Equal(at) {
		t.Errorf("%v to %v, revoked %v", crl.ThisUpdate, crl.NextUpdate, crl.RevokedCertificateEntries[0].RevocationTime)
	}
}

func TestSignCRLRefuses(t *testing.T) {
	t.Parallel()
	root, signer := pkitest.Root(t), pkitest.Key(t, profiles.ECP256, pkitest.RootKey)
	authority := func(c *x509.Certificate) *pki.Authority {
		return pkitest.Authority(t, pki.AuthorityConfig{Chain: []*x509.Certificate{c}, Signer: signer})
	}
	offline := pkitest.Authority(t, pki.AuthorityConfig{Chain: root.FullChain()})
	certSignOnly := authority(foreign(t, nil, signer, signer.Public(), func(*x509.Certificate) {}))
	next := pkitest.Clock().Add(week)
	one := big.NewInt(1)
	wide := new(big.Int).Lsh(one, 159)
	for _, c := range []struct {
		name    string
		by      *pki.Authority
		number  *big.Int
		next    time.Time
		revoked []pki.Revocation
		cause   error // nil for any
		text    string
	}{
		{"offline", offline, one, next, nil, pki.ErrNoKey, "Test root CA"},
		{"key usage", certSignOnly, one, next, nil, pki.ErrNotCRLSigner, `"Foreign CA" cannot sign CRLs: its key usage lacks crl sign`},
		{"it has ended", root, one, pkitest.Clock().Add(-time.Second), nil, nil, "a CRL that has ended already"},
		{"it ends now", root, one, pkitest.Clock(), nil, nil, "a CRL that has ended already"},
		{"negative number", root, big.NewInt(-1), next, nil, nil, "CRL number -1:"},
		{"long number", root, wide, next, nil, nil, "fit in 20 bytes"},
		{"no number", root, nil, next, nil, nil, "CRL number"},
		{"serial twice", root, one, next, []pki.Revocation{{Serial: big.NewInt(5), At: next}, {Serial: big.NewInt(5), At: next}}, nil, "serial 5 is in the CRL twice"},
		{"no serial", root, one, next, []pki.Revocation{{At: next}}, nil, "missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			der, err := c.by.SignCRL(c.number, c.next, c.revoked)
			if err == nil || der != nil {
				t.Fatalf("it was signed: %v", err)
			}
			if c.cause != nil && !errors.Is(err, c.cause) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v; want %v, %q", err, c.cause, c.text)
			}
		})
	}
	// The largest number that there is.
	if _, err := root.SignCRL(new(big.Int).Sub(wide, one), next, nil); err != nil {
		t.Error(err)
	}
}

// The issuing distribution point is critical, has the URLs as its full name, and
// nothing else (RFC 5280 section 5.2.5).
func TestSignCRLPoint(t *testing.T) {
	t.Parallel()
	const now, before = "http://a.example/crl", "http://old.example/crl"
	root := pkitest.Root(t)
	a := pkitest.Authority(t, pki.AuthorityConfig{
		Chain: pkitest.Issuing(t).FullChain(), Signer: pkitest.Key(t, profiles.ECP256, pkitest.IssuingKey), URLs: pki.URLs{CRL: []string{now}},
	})
	der, err := a.SignCRL(big.NewInt(1), pkitest.Clock().Add(week), nil, now, before)
	if err != nil {
		t.Fatal(err)
	}
	crl, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	point := crl.Extensions[len(crl.Extensions)-1]
	uri := func(s string) string { return "\x86" + string(rune(len(s))) + s }
	names := uri(now) + uri(before)
	want := "\x30" + string(rune(len(names)+4)) + "\xa0" + string(rune(len(names)+2)) + "\xa0" + string(rune(len(names))) + names
	if point.Id.String() != "2.5.29.28" || !point.Critical || string(point.Value) != want {
		t.Errorf("%v, critical %v\ngot  %x\nwant %x", point.Id, point.Critical, point.Value, want)
	}
	if crl := signCRL(t, a, 2, nil); len(crl.Extensions) != 2 {
		t.Errorf("a point that was not asked for: %v", crl.Extensions)
	}

	withURL := pkitest.Authority(t, pki.AuthorityConfig{
		Chain: root.FullChain(), Signer: pkitest.Key(t, profiles.ECP256, pkitest.RootKey), URLs: pki.URLs{CRL: []string{now}},
	})
	for _, c := range []struct {
		by     *pki.Authority
		points []string
		text   string
	}{
		{withURL, []string{now}, "its own certificate names none"},
		{a, []string{before}, "none of its names is a CRL URL of the authority"},
		{a, []string{now, "crl"}, "crl"},
	} {
		if der, err := c.by.SignCRL(big.NewInt(1), pkitest.Clock().Add(week), nil, c.points...); !errors.Is(err, pki.ErrPoint) || der != nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%v: %v; want %q", c.points, err, c.text)
		}
	}
}

// Authorities made elsewhere may have no key usage, and no key identifier.
func TestSignCRLForeign(t *testing.T) {
	t.Parallel()
	signer := pkitest.Key(t, profiles.ECP256, pkitest.RootKey)
	cert := foreign(t, nil, signer, signer.Public(), func(c *x509.Certificate) {
		c.KeyUsage = 0
	})
	a := pkitest.Authority(t, pki.AuthorityConfig{Chain: []*x509.Certificate{cert}, Signer: signer})
	if cert.KeyUsage != 0 {
		t.Fatalf("key usage %b", cert.KeyUsage)
	}
	crl := signCRL(t, a, 1, everyReason())
	if got := pki.CRLSignedBy(crl, cert); got != pki.SignatureGood {
		t.Errorf("signature: %s", got)
	}
	if len(crl.AuthorityKeyId) == 0 {
		t.Error("the authority key identifier is missing")
	}
	if cert.KeyUsage != 0 {
		t.Error("the authority's certificate was changed")
	}
}

// A signer who signs something else is found out.
func TestSignCRLBadSigner(t *testing.T) {
	t.Parallel()
	key := pkitest.Key(t, profiles.ECP256, pkitest.RootKey)
	a := pkitest.Authority(t, pki.AuthorityConfig{Chain: pkitest.Root(t).FullChain(), Signer: failingSigner{key}})
	if _, err := a.SignCRL(big.NewInt(1), pkitest.Clock().Add(week), nil); !errors.Is(err, errHSM) {
		t.Errorf("%v; want %v", err, errHSM)
	}
	a = pkitest.Authority(t, pki.AuthorityConfig{Chain: pkitest.Root(t).FullChain(), Signer: brokenSigner{key}})
	if _, err := a.SignCRL(big.NewInt(1), pkitest.Clock().Add(week), nil); err == nil {
		t.Error("a bad signature was not found")
	}
}

func TestParseReason(t *testing.T) {
	t.Parallel()
	for code, name := range map[pki.Reason]string{
		0: "unspecified", 1: "keyCompromise", 2: "cACompromise", 3: "affiliationChanged", 4: "superseded",
		5: "cessationOfOperation", 6: "certificateHold", 9: "privilegeWithdrawn", 10: "aACompromise",
	} {
		for _, s := range []string{name, strings.ToUpper(name), strings.ToLower(name)} {
			if r, err := pki.ParseReason(s); r != code || err != nil {
				t.Errorf("%q is %d, %v; want %d", s, int(r), err, int(code))
			}
		}
		if code.String() != name || !slices.Contains(pki.Reasons(), code) {
			t.Errorf("reason %d is %s; it is among %v", int(code), code, pki.Reasons())
		}
	}
	if n := len(pki.Reasons()); n != 9 {
		t.Errorf("there are %d reasons", n)
	}
	for _, s := range []string{"", "1", "key compromise", "removeFromCRL", "reason 7", " superseded"} {
		if r, err := pki.ParseReason(s); err == nil || !strings.Contains(err.Error(), "keyCompromise") {
			t.Errorf("%q is %s, %v", s, r, err)
		}
	}
	for r, want := range map[pki.Reason]string{7: "reason 7", 8: "removeFromCRL", -1: "reason -1"} {
		if got := r.String(); got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}

// crlFindings returns what zlint has against a CRL, of severity error or fatal,
// and how many of its rules applied.
func crlFindings(t testing.TB, r lint.Registry, der []byte) (all []string, applied int) {
	t.Helper()
	crl, err := zx509.ParseRevocationList(der)
	if err != nil {
		return []string{"zcrypto cannot read it: " + err.Error()}, 0
	}
	for name, result := range zlint.LintRevocationListEx(crl, r).Results {
		if result.Status >= lint.Error {
			all = append(all, name+" "+result.Details)
		}
		if result.Status >= lint.Pass {
			applied++
		}
	}
	slices.Sort(all)
	return all, applied
}

func TestCRLLints(t *testing.T) {
	t.Parallel()
	for _, kind := range []profiles.KeyType{profiles.ECP256, profiles.RSA2048} {
		a := pkitest.NewRoot(t, pki.CARequest{PathLen: pki.NoPathLen, Key: kind})
		for _, revoked := range [][]pki.Revocation{nil, everyReason()} {
			found, applied := crlFindings(t, lints(t), signCRL(t, a, 1, revoked).Raw)
			if len(found) > 0 || applied == 0 {
				t.Errorf("%s, %d entries: %q; %d rules applied", string(kind), len(revoked), found, applied)
			}
		}
	}
	// A judge who never objects is none.
	root, signer := pkitest.Root(t), pkitest.Key(t, profiles.ECP256, pkitest.RootKey)
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: pkitest.Clock(), NextUpdate: pkitest.Clock().Add(week),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(1), RevocationTime: pkitest.Clock(), ReasonCode: 7}},
	}, root.Certificate(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if found, _ := crlFindings(t, lints(t), der); len(found) == 0 {
		t.Error("zlint has nothing against the reason 7, which there is not")
	}
}
