package pki_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// exact is a request of P-256 for 90 days, changed.
func exact(t testing.TB, change func(*pki.ExactRequest)) pki.ExactRequest {
	t.Helper()
	r := pki.ExactRequest{
		Subject: exactName(t, "x"), Key: profiles.ECP256, Duration: 90 * day,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	change(&r)
	return r
}

func exactName(t testing.TB, cn string) []byte {
	t.Helper()
	der, err := pki.ExactSubject(pkix.Name{CommonName: cn})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func exactSAN(t testing.TB, names pki.ExactNames) []byte {
	t.Helper()
	der, err := pki.MarshalSAN(names)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// What cert-manager signs although verifiers refuse it is signed, with a warning.
func TestExactWarnings(t *testing.T) {
	t.Parallel()
	key := pkitest.Key(t, profiles.ECP256, pkitest.LeafKey)
	root := pkitest.Root(t)
	narrow := pkitest.NewRoot(t, pki.CARequest{PathLen: pki.NoPathLen, Permit: constraints(t, "a.example", "@a.example")})
	clients := foreign(t, nil, pkitest.Key(t, profiles.ECP256, pkitest.RootKey), pkitest.Key(t, profiles.ECP256, pkitest.RootKey).Public(), func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	short := pkitest.NewRoot(t, pki.CARequest{PathLen: pki.NoPathLen, Lifetime: pki.Lifetime{Validity: 30 * day}})
	later := foreign(t, nil, pkitest.Key(t, profiles.ECP256, pkitest.RootKey), pkitest.Key(t, profiles.ECP256, pkitest.RootKey).Public(), func(c *x509.Certificate) {
		c.NotBefore = now.Add(time.Hour)
	})
	nameless := selfSignedCA(t, exact(t, func(r *pki.ExactRequest) { r.Subject, r.CA, r.KeyUsage = nil, true, x509.KeyUsageCertSign }), pkitest.Key(t, profiles.ECP256, pkitest.RootKey))
	above := pkitest.NewRoot(t, pki.CARequest{PathLen: 0})
	deep := foreign(t, above, pkitest.Key(t, profiles.ECP256, pkitest.RootKey), key.Public(), func(*x509.Certificate) {})
	alone := func(c *x509.Certificate) *pki.Authority {
		return pkitest.Authority(t, pki.AuthorityConfig{Chain: []*x509.Certificate{c}, Signer: pkitest.Key(t, profiles.ECP256, pkitest.RootKey)})
	}
	tooDeep := pkitest.Authority(t, pki.AuthorityConfig{Chain: []*x509.Certificate{deep, above.Certificate()}, Signer: key})
	ca := func(r *pki.ExactRequest) { r.CA, r.KeyUsage = true, r.KeyUsage|x509.KeyUsageCertSign }
	dns := func(names ...string) func(r *pki.ExactRequest) {
		return func(r *pki.ExactRequest) { r.SAN = exactSAN(t, pki.ExactNames{DNS: names}) }
	}
	uris := func(names ...string) func(r *pki.ExactRequest) {
		return func(r *pki.ExactRequest) { r.SAN = exactSAN(t, pki.ExactNames{URIs: names}) }
	}
	const not = "not an X509-SVID by the standard: "
	for name, tt := range map[string]struct {
		by     *pki.Authority // nil: itself
		change []func(*pki.ExactRequest)
		want   []string
	}{
		"leaf":        {root, nil, nil},
		"CA":          {root, []func(*pki.ExactRequest){ca}, nil},
		"self-signed": {nil, nil, nil},
		"CA below path length 0": {above, []func(*pki.ExactRequest){ca},
			[]string{`verifiers refuse what it signs: by its path length or one above it, "Test root CA" has no authorities below it`}},
		"leaf below path length 0": {above, nil, nil},
		"leaf too deep": {tooDeep, nil,
			[]string{`verifiers refuse it: "Foreign CA" stands too far below "Test root CA": the issuer's path length does not allow it`}},
		"name not permitted": {narrow, []func(*pki.ExactRequest){dns("b.example")},
			[]string{`verifiers refuse it: the name constraints of "Test root CA": DNS name "b.example" is not permitted by any constraint`}},
		"common name not permitted": {narrow, []func(*pki.ExactRequest){func(r *pki.ExactRequest) { r.Subject = exactName(t, "b.example") }},
			[]string{`verifiers refuse it: the name constraints of "Test root CA": DNS name "b.example" is not permitted by any constraint`}},
		"purpose not allowed": {alone(clients), []func(*pki.ExactRequest){func(r *pki.ExactRequest) { r.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }},
			[]string{`verifiers refuse it: "Foreign CA" does not sign for server auth: the issuer's extended key usage does not allow it`}},
		"its issuer's subject": {root, []func(*pki.ExactRequest){func(r *pki.ExactRequest) { r.Subject = root.Certificate().RawSubject }},
			[]string{`it has the subject of "Test root CA" above it: verifiers take it for self-issued, and chains through it break`}},
		"past the issuer's end": {short, nil,
			[]string{"it ends with its issuer, on " + pki.FormatTime(short.NotAfter()) + ", before the 90 days asked for are over"}},
		"before the issuer's beginning": {alone(later), nil,
			[]string{`its issuer "Foreign CA" holds from 2026-06-15 13:00:00 UTC on, and until then nothing below it does`}},
		"SPIFFE":         {root, []func(*pki.ExactRequest){uris("spiffe://a/b")}, nil},
		"SPIFFE of a CA": {root, []func(*pki.ExactRequest){ca, uris("spiffe://a")}, nil},
		"SPIFFE usages": {root, []func(*pki.ExactRequest){uris("spiffe://a/b"), func(r *pki.ExactRequest) {
			r.KeyUsage, r.ExtKeyUsage = x509.KeyUsageCRLSign, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}}, []string{not + "it lacks the key usage digital signature; it has the key usage crl sign; it is for server auth alone, and not for both server auth and client auth"}},
		"no constraint at all":      {root, []func(*pki.ExactRequest){ca, func(r *pki.ExactRequest) { r.Constraints = &pki.ExactConstraints{} }}, nil},
		"no name at all":            {root, []func(*pki.ExactRequest){func(r *pki.ExactRequest) { r.Subject = nil }}, []string{"it has neither a subject nor a name"}},
		"no subject":                {root, []func(*pki.ExactRequest){dns("a"), func(r *pki.ExactRequest) { r.Subject = nil }}, nil},
		"no subject, self-signed":   {nil, []func(*pki.ExactRequest){dns("a"), func(r *pki.ExactRequest) { r.Subject = nil }}, []string{"it is self-signed with an empty subject, so it has an empty issuer, which RFC 5280 section 4.1.2.4 forbids"}},
		"CA without subject":        {root, []func(*pki.ExactRequest){ca, dns("a"), func(r *pki.ExactRequest) { r.Subject = nil }}, []string{"it is an authority with an empty subject, so what it signs has an empty issuer, which RFC 5280 section 4.1.2.4 forbids"}},
		"below one without subject": {nameless, nil, []string{"its issuer has an empty subject, which RFC 5280 section 4.1.2.4 forbids"}},
		// A foreign request's names may be anything.
		"email without @": {narrow, []func(*pki.ExactRequest){func(r *pki.ExactRequest) { r.SAN = []byte{0x30, 3, 0x81, 1, 'a'} }},
			[]string{`verifiers refuse it: the name constraints of "Test root CA": cannot parse rfc822Name "a"`}},
	} {
		r := exact(t, func(r *pki.ExactRequest) {
			for _, change := range tt.change {
				change(r)
			}
		})
		var d *pki.Draft
		var err error
		if tt.by != nil {
			d, err = tt.by.PrepareExact(r)
		} else {
			d, err = pki.PrepareSelfSigned(r, now)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, d.Warnings()); diff != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", name, diff)
		}
		if tt.by != nil {
			_, err = tt.by.Sign(d, key.Public())
		} else {
			_, err = pki.SignRoot(d, key)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExactRefuses(t *testing.T) {
	t.Parallel()
	root := pkitest.Root(t)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak := &rsa.PublicKey{N: new(big.Int).SetBit(new(big.Int), 1023, 1), E: 65537}
	ended := pkitest.Authority(t, pki.AuthorityConfig{Chain: root.FullChain(), Now: func() time.Time { return root.NotAfter() }})
	for name, tt := range map[string]struct {
		by     *pki.Authority
		change func(*pki.ExactRequest)
		want   string
		cause  error
	}{
		"no key":           {root, func(r *pki.ExactRequest) { r.Key = "" }, `unknown key type "": there are `, nil},
		"unknown key type": {root, func(r *pki.ExactRequest) { r.Key = "rsa-1024" }, `unknown key type "rsa-1024": there are `, nil},
		"weak key":         {root, func(r *pki.ExactRequest) { r.PublicKey = weak }, "key not accepted: RSA of 1024 bits is too weak, 2048 is the least", pki.ErrKey},
		"weak curve":       {root, func(r *pki.ExactRequest) { r.PublicKey = p224.Public() }, "key not accepted: EC on P-224 is weaker than P-256", pki.ErrKey},
		"another key": {root, func(r *pki.ExactRequest) {
			r.Key, r.PublicKey = "rsa-2500", pkitest.Key(t, profiles.RSA2048, pkitest.LeafKey).Public()
		}, "key not accepted: it is RSA 2048, and RSA 2500 was asked for", pki.ErrKey},
		"CA that cannot sign": {root, func(r *pki.ExactRequest) { r.CA = true }, "not a CA certificate: its key usage lacks cert sign", pki.ErrNotCA},
		"damaged names":       {root, func(r *pki.ExactRequest) { r.SAN = []byte{0x30, 1} }, "no such certificate could be read: x509: ", nil},
		"damaged subject":     {root, func(r *pki.ExactRequest) { r.Subject = []byte{0x31, 0} }, "no such certificate could be read: x509: ", nil},
		"broken URI":          {root, func(r *pki.ExactRequest) { r.SAN = exactSAN(t, pki.ExactNames{URIs: []string{"https://a..b/"}}) }, `no such certificate could be read: x509: cannot parse URI "https://a..b/": invalid domain`, nil},
		"constraint": {root, func(r *pki.ExactRequest) {
			r.Constraints = &pki.ExactConstraints{ExcludedIPRanges: []string{"10.0.0.0"}}
		}, `IP "10.0.0.0": that is no range of IP addresses, as in 10.0.0.0/8`, nil},
		"ended issuer":    {ended, func(*pki.ExactRequest) {}, "lifetime: the issuer expired on " + pki.FormatTime(root.NotAfter()), nil},
		"no length":       {root, func(r *pki.ExactRequest) { r.Duration = 0 }, "lifetime: 0s is no length of time", nil},
		"negative length": {root, func(r *pki.ExactRequest) { r.Duration = -time.Hour }, "lifetime: -1h0m0s is no length of time", nil},
		"over already":    {root, func(r *pki.ExactRequest) { r.Duration = time.Minute }, "lifetime: 1m0s are over already, since it begins 1m0s before now", nil},
	} {
		d, err := tt.by.PrepareExact(exact(t, tt.change))
		if d != nil || err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", name, err, tt.want)
		}
		if tt.cause != nil && !errors.Is(err, tt.cause) {
			t.Errorf("%s: the cause is not %v", name, tt.cause)
		}
		if _, lifetime := errors.AsType[*pki.LifetimeError](err); lifetime != strings.HasPrefix(tt.want, "lifetime: ") {
			t.Errorf("%s: a *LifetimeError: %v", name, lifetime)
		}
	}
	if d, err := pki.PrepareSelfSigned(exact(t, func(r *pki.ExactRequest) { r.Duration = 0 }), now); d != nil || err == nil {
		t.Errorf("self-signed for no time: %v", err)
	}
	// A CA whose key is too weak to sign with, as an old one may be.
	old := *root.Certificate()
	old.PublicKey = weak
	a := pkitest.Authority(t, pki.AuthorityConfig{Chain: []*x509.Certificate{&old}})
	const want = `"Test root CA": key not accepted: RSA of 1024 bits is too weak to sign, 2048 is the least`
	if _, err := a.PrepareExact(exact(t, func(*pki.ExactRequest) {})); !errors.Is(err, pki.ErrKey) || err.Error() != want {
		t.Errorf("a weak CA: %v", err)
	}
}

func TestExactLifetime(t *testing.T) {
	t.Parallel()
	for length, want := range map[time.Duration]time.Time{
		90 * day:                          start.Add(90 * day),
		time.Hour + 1500*time.Millisecond: start.Add(time.Hour + time.Second),
		20 * year:                         pkitest.Root(t).NotAfter(),
	} {
		d, err := pkitest.Root(t).PrepareExact(exact(t, func(r *pki.ExactRequest) { r.Duration = length }))
		if err != nil {
			t.Fatal(err)
		}
		if c := d.Template(); !c.NotBefore.Equal(start) || !c.NotAfter.Equal(want) {
			t.Errorf("%s: from %s to %s, want %s", length, c.NotBefore, c.NotAfter, want)
		}
	}
	// In one run all share a clock, so a leaf lasts as long as its CA.
	ca := selfSignedCA(t, exact(t, func(r *pki.ExactRequest) {
		r.Subject, r.CA, r.KeyUsage = exactName(t, "ca"), true, x509.KeyUsageCertSign
	}), pkitest.Key(t, profiles.ECP256, pkitest.RootKey))
	d, err := ca.PrepareExact(exact(t, func(*pki.ExactRequest) {}))
	if err != nil {
		t.Fatal(err)
	}
	if c := d.Template(); c.NotAfter.Sub(c.NotBefore) != 90*day || len(d.Warnings()) > 0 {
		t.Errorf("%s, %q", c.NotAfter.Sub(c.NotBefore), d.Warnings())
	}
}

// The draft of an exact request is held to what all drafts are.
func TestExactDraftIsSignedOnce(t *testing.T) {
	t.Parallel()
	key := pkitest.Key(t, profiles.ECP256, pkitest.LeafKey)
	d, err := pki.PrepareSelfSigned(exact(t, func(*pki.ExactRequest) {}), now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pkitest.Root(t).Sign(d, key.Public()); err == nil {
		t.Error("signed by an authority")
	}
	if _, err := pki.SignRoot(d, pkitest.Key(t, profiles.Ed25519, pkitest.LeafKey)); err == nil {
		t.Error("signed by a key of another type")
	}
	if _, err := pki.SignRoot(d, key); err != nil {
		t.Error(err)
	}
	if _, err := pki.SignRoot(d, key); err == nil {
		t.Error("signed twice")
	}
}

// Requests go into a record, and come back for a renewal.
func TestExactRequestJSON(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]pki.ExactRequest{
		"empty": {},
		"full": {
			Subject: exactName(t, "ü"), SAN: exactSAN(t, pki.ExactNames{DNS: []string{"a"}, IPs: []string{"::1"}}),
			KeyUsage: x509.KeyUsageDecipherOnly | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageAny, x509.ExtKeyUsageServerAuth},
			UnknownExtKeyUsage: []asn1.ObjectIdentifier{{2, 999, 4294967296}}, CA: true,
			Constraints: &pki.ExactConstraints{
				Critical: true, PermittedDNS: []string{"a"}, ExcludedDNS: []string{"b"}, PermittedIPRanges: []string{"10.0.0.0/8"}, ExcludedIPRanges: []string{"::/0"},
				PermittedEmails: []string{"c"}, ExcludedEmails: []string{"d"}, PermittedURIDomains: []string{"e"}, ExcludedURIDomains: []string{"f"},
			},
			URLs: pki.URLs{CRL: []string{"http://a"}, AIA: []string{"http://b"}, OCSP: []string{"http://c"}}, Duration: 36 * time.Hour, Key: "rsa-2500",
		},
		"a key": {PublicKey: pkitest.Key(t, profiles.ECP256, pkitest.LeafKey).Public(), Key: profiles.ECP256, Duration: 1},
	} {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back pki.ExactRequest
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		r.PublicKey = nil // which the certificate has
		if diff := cmp.Diff(r, back); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if data, err := json.Marshal(pki.ExactRequest{}); err != nil || string(data) != `{"duration":0}` {
		t.Errorf("%s, %v", data, err)
	}
}
