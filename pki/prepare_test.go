package pki_test

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func profile(t testing.TB, yaml string) *profiles.Profile {
	t.Helper()
	p, err := profiles.Parse("test", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	ca := pkitest.Issuing(t)
	x := pki.Subject{CommonName: "x"}
	narrow := profile(t, "usages: [client auth]\nkeys: [ed25519, rsa-2048]\nsans: {allowed: [dns, uri]}")
	named := profile(t, "usages: [client auth]\nnames: {permit: {dns: ['*.example.com']}, exclude: {dns: [a.example.com]}}")
	badSubject := profile(t, "usages: [client auth]\nsubject: {countries: [Germany]}")
	for name, tt := range map[string]struct {
		profile *profiles.Profile
		request pki.Request
		want    string
		cause   error // nil: a *PolicyError
	}{
		"nothing":            {profiles.Client(), pki.Request{}, "neither a common name nor a subject alternative name", pki.ErrNoName},
		"organisation alone": {profiles.Client(), pki.Request{Subject: pki.Subject{Organizations: []string{"Acme"}}}, "neither a common name nor a subject alternative name", pki.ErrNoName},
		"server without address": {profiles.Server(), pki.Request{Subject: x, SANs: pkitest.SANs(t, "a@example.com")},
			`profile "server": it needs a name of kind dns or ip`, nil},
		"kind not allowed": {narrow, pki.Request{SANs: pkitest.SANs(t, "10.0.0.1")}, `profile "test": IP names are not allowed, and this is one: 10.0.0.1`, nil},
		"SPIFFE is no URI": {narrow, pki.Request{SANs: pkitest.SANs(t, "spiffe://a/b")}, `profile "test": SPIFFE names are not allowed, and this is one: spiffe://a/b`, nil},
		"no kind at all":   {narrow, pki.Request{SANs: []pki.SAN{{}}}, `profile "test":  names are not allowed, and this is one: `, nil},
		"key not allowed":  {narrow, pki.Request{Subject: x, Key: profiles.ECP256}, `profile "test": EC P-256 keys are not allowed`, nil},
		"CSR key not allowed": {narrow, pki.Request{Subject: x, PublicKey: pkitest.Key(t, profiles.ECP384, pkitest.LeafKey).Public()},
			`profile "test": EC P-384 keys are not allowed`, nil},
		"two keys": {profiles.Client(), pki.Request{Subject: x, Key: profiles.RSA2048, PublicKey: pkitest.Key(t, profiles.ECP256, pkitest.LeafKey).Public()},
			"key not accepted: it is EC P-256, and RSA 2048 was asked for", pki.ErrKey},
		"RSA of an odd size": {profiles.Client(), pki.Request{Subject: x, PublicKey: &rsa.PublicKey{N: new(big.Int).SetBit(new(big.Int), 2499, 1), E: 65537}}, "key not accepted: RSA of 2500 bits; 2048, 3072 and 4096 are", pki.ErrKey},
		"no key we know":     {profiles.Client(), pki.Request{Subject: x, PublicKey: "key"}, "key not accepted: it is neither EC, RSA nor Ed25519", pki.ErrKey},
		"name not permitted": {named, pki.Request{Subject: x, SANs: pkitest.SANs(t, "b.example.com", "a.example.org")},
			`profile "test": DNS name "a.example.org" is not permitted by names.permit.dns: *.example.com`, nil},
		"name excluded": {named, pki.Request{Subject: x, SANs: pkitest.SANs(t, "*.example.com")},
			`profile "test": DNS name "*.example.com" is excluded by names.exclude.dns: a.example.com`, nil},
		"common name not permitted": {named, pki.Request{Subject: pki.Subject{CommonName: "*.example.org"}},
			`profile "test": common name "*.example.org" is not permitted by names.permit.dns: *.example.com`, nil},
		"profile's bad subject": {badSubject, pki.Request{Subject: x}, `profile "test": its own subject C "Germany": a country is two capital letters, as in DE`, nil},
	} {
		d, err := ca.Prepare(tt.profile, tt.request)
		if d != nil || err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v\ngot  %v\nwant %s", name, d, err, tt.want)
		}
		if tt.cause != nil && !errors.Is(err, tt.cause) {
			t.Errorf("%s: the cause is not %v", name, tt.cause)
		}
		if _, ok := errors.AsType[*pki.PolicyError](err); ok != (tt.cause == nil) {
			t.Errorf("%s: %T", name, err)
		}
	}
	var policy *pki.PolicyError
	_, err := ca.Prepare(named, pki.Request{Subject: x, SANs: pkitest.SANs(t, "a.example.org")})
	if !errors.As(err, &policy) || policy.Rule != "names.permit.dns" {
		t.Errorf("the rule of %v is %+v", err, policy)
	}
	if _, err := ca.Prepare(named, pki.Request{Subject: x, SANs: pkitest.SANs(t, "b.example.com", "10.0.0.1")}); err != nil {
		t.Error(err)
	}
	_, err = ca.Prepare(profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "a\tb"}})
	if _, ok := errors.AsType[*pki.SubjectError](err); !ok {
		t.Errorf("bad subject: %v", err)
	}
	_, err = ca.Prepare(profiles.Client(), pki.Request{Subject: x, Key: "rsa"})
	if want := `unknown key type "rsa": there are ec-p256, ec-p384, ec-p521, rsa-2048, rsa-3072, rsa-4096, ed25519`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// A certificate whose subject is its issuer's looks self-issued, and NSS and
// others take it for a root.
func TestSubjectOfIssuer(t *testing.T) {
	t.Parallel()
	ca := pkitest.Issuing(t)
	for _, cn := range []string{"Test issuing CA", "Test root CA"} {
		want := `subject CN "` + cn + `": an authority above it has the same subject`
		if _, err := ca.Prepare(profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: cn}}); err == nil || err.Error() != want {
			t.Errorf("leaf: got  %v\nwant %s", err, want)
		}
	}
	_, err := pkitest.Root(t).PrepareCA(pki.CARequest{Subject: pki.Subject{CommonName: "Test root CA"}})
	if want := `subject CN "Test root CA": an authority above it has the same subject`; err == nil || err.Error() != want {
		t.Errorf("intermediate: got  %v\nwant %s", err, want)
	}
	// One more field, and it is another name.
	if _, err := ca.Prepare(profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "Test root CA", Organizations: []string{"Acme"}}}); err != nil {
		t.Error(err)
	}
}

func TestPrepareFills(t *testing.T) {
	t.Parallel()
	ca := pkitest.Issuing(t)
	p := profile(t, `
usages: [digital signature, key encipherment, server auth, client auth]
key: rsa-2048
subject: {organizations: [Acme], countries: [DE], localities: [Ort]}
`)
	request := pki.Request{
		Subject: pki.Subject{CommonName: "x", Organizations: []string{"Other"}},
		SANs:    pkitest.SANs(t, "b.example", "10.0.0.7", "a.example", "B.example", "::1", "10.0.0.7", "a@b.example", "uri:https://b.example/x", "uri:https://B.example/x"),
	}
	d, err := ca.Prepare(p, request)
	if err != nil {
		t.Fatal(err)
	}
	if d.KeyType() != profiles.RSA2048 {
		t.Errorf("key type %s", d.KeyType())
	}
	cert, err := ca.Sign(d, pkitest.Key(t, profiles.RSA2048, pkitest.LeafKey).Public())
	if err != nil {
		t.Fatal(err)
	}
	type facts struct {
		Subject  pki.Subject
		SANs     []string
		KeyUsage x509.KeyUsage
		Purposes []x509.ExtKeyUsage
		IsCA     bool
	}
	got := facts{pki.SubjectOf(cert.Subject), nil, cert.KeyUsage, cert.ExtKeyUsage, cert.IsCA}
	for _, s := range pki.SANsOf(cert) {
		got.SANs = append(got.SANs, s.String())
	}
	want := facts{
		pki.Subject{CommonName: "x", Organizations: []string{"Other"}, Countries: []string{"DE"}, Localities: []string{"Ort"}},
		[]string{"DNS b.example", "DNS a.example", "email a@b.example", "IP 10.0.0.7", "IP ::1", "URI https://b.example/x"},
		x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("certified (-want +got):\n%s", diff)
	}
	if len(request.SANs) != 9 || len(request.Subject.Countries) != 0 {
		t.Errorf("the request was changed: %+v", request)
	}
}

func TestPathLength(t *testing.T) {
	t.Parallel()
	under := func(lengths ...int) *pki.Authority {
		a := pkitest.NewRoot(t, pki.CARequest{PathLen: lengths[0]})
		for i, n := range lengths[1:] {
			a = pkitest.NewIntermediate(t, a, pki.CARequest{Subject: pki.Subject{CommonName: "CA " + string(rune('A'+i))}, PathLen: n})
		}
		return a
	}
	const none = pki.NoPathLen
	const used = `: the issuer's path length does not allow it`
	for _, tt := range []struct {
		chain []int
		left  int
		ask   int
		want  string
	}{
		{[]int{none}, none, none, ""},
		{[]int{none}, none, 7, ""},
		{[]int{none, none}, none, 0, ""},
		{[]int{0}, 0, 0, `"Test root CA" signs no authorities` + used},
		{[]int{0}, 0, none, `"Test root CA" signs no authorities` + used},
		{[]int{1}, 1, 0, ""},
		{[]int{1}, 1, 1, `"Test root CA" signs authorities with a path length of at most 0` + used},
		{[]int{2}, 2, none, `"Test root CA" signs authorities with a path length of at most 1` + used},
		{[]int{none, 0}, 0, 0, `"CA A" signs no authorities` + used},
		{[]int{2, 1}, 1, 0, ""},
		{[]int{2, 0}, 0, 0, `"CA A" signs no authorities` + used},
		{[]int{3, 2, 1}, 1, 1, `"CA B" signs authorities with a path length of at most 0` + used},
		{[]int{none, 2, 1}, 1, 0, ""},
	} {
		a := under(tt.chain...)
		if got := a.PathLen(); got != tt.left {
			t.Errorf("%v: PathLen() = %d, want %d", tt.chain, got, tt.left)
		}
		_, err := a.PrepareCA(pki.CARequest{Subject: pki.Subject{CommonName: "next"}, PathLen: tt.ask})
		got := ""
		if err != nil {
			got = err.Error()
			if !errors.Is(err, pki.ErrPathLength) {
				t.Errorf("%v: the cause is not ErrPathLength", tt.chain)
			}
		}
		if got != tt.want {
			t.Errorf("%v, asked for %d:\ngot  %s\nwant %s", tt.chain, tt.ask, got, tt.want)
		}
		// Leaves are no authorities.
		verify(t, a, pkitest.Issue(t, a, profiles.Client(), pki.Request{Subject: pki.Subject{CommonName: "x"}}).Leaf(), x509.ExtKeyUsageClientAuth)
	}
}

// A limit above counts where the authority's own certificate has none or a
// higher one, as in the chains of other programs.
func TestPathLengthFromAbove(t *testing.T) {
	t.Parallel()
	root := pkitest.NewRoot(t, pki.CARequest{PathLen: 1})
	issuing := pkitest.Key(t, profiles.ECP256, pkitest.IssuingKey)
	for _, own := range []int{-1, 1, 7} {
		cert := foreign(t, root, pkitest.Key(t, profiles.ECP256, pkitest.RootKey), issuing.Public(), func(c *x509.Certificate) { c.MaxPathLen = own })
		a := pkitest.Authority(t, pki.AuthorityConfig{Chain: []*x509.Certificate{cert, root.Certificate()}, Signer: issuing})
		if got := a.PathLen(); got != 0 {
			t.Errorf("own %d: PathLen() = %d, want 0", own, got)
		}
		if _, err := a.PrepareCA(pki.CARequest{Subject: pki.Subject{CommonName: "x"}}); !errors.Is(err, pki.ErrPathLength) {
			t.Errorf("own %d: PrepareCA: %v", own, err)
		}
	}
}

// What stands below a path length of zero is an authority all the same, since
// manifests make such; but it issues nothing for profiles.
func TestPathLengthBroken(t *testing.T) {
	t.Parallel()
	above := pkitest.NewRoot(t, pki.CARequest{PathLen: 0})
	issuing := pkitest.Key(t, profiles.ECP256, pkitest.IssuingKey)
	deep := foreign(t, above, pkitest.Key(t, profiles.ECP256, pkitest.RootKey), issuing.Public(), func(*x509.Certificate) {})
	a := pkitest.Authority(t, pki.AuthorityConfig{Chain: []*x509.Certificate{deep, above.Certificate()}, Signer: issuing})
	if got := a.PathLen(); got != 0 {
		t.Errorf("PathLen() = %d, want 0", got)
	}
	const want = `"Foreign CA" stands too far below "Test root CA": the issuer's path length does not allow it`
	if _, err := a.Prepare(profiles.Client(), request); !errors.Is(err, pki.ErrPathLength) || err.Error() != want {
		t.Errorf("Prepare: %v", err)
	}
	if _, err := a.PrepareCA(pki.CARequest{Subject: pki.Subject{CommonName: "x"}}); !errors.Is(err, pki.ErrPathLength) || err.Error() != want {
		t.Errorf("PrepareCA: %v", err)
	}
}

func TestPrepareCARefuses(t *testing.T) {
	t.Parallel()
	x := pki.Subject{CommonName: "x"}
	for name, tt := range map[string]struct {
		request pki.CARequest
		want    string
	}{
		"no subject":     {pki.CARequest{}, `subject CN "": an authority needs a subject`},
		"bad subject":    {pki.CARequest{Subject: pki.Subject{CommonName: "x "}}, `subject CN "x ": it begins or ends with a space`},
		"key type":       {pki.CARequest{Subject: x, Key: "dsa"}, `unknown key type "dsa": there are ec-p256, ec-p384, ec-p521, rsa-2048, rsa-3072, rsa-4096, ed25519`},
		"odd key size":   {pki.CARequest{Subject: x, Key: "rsa-2500"}, `unknown key type "rsa-2500": there are ec-p256, ec-p384, ec-p521, rsa-2048, rsa-3072, rsa-4096, ed25519`},
		"path length":    {pki.CARequest{Subject: x, PathLen: -2}, `a path length of -2`},
		"lifetime":       {pki.CARequest{Subject: x, Lifetime: pki.Lifetime{Validity: -1}}, `lifetime: -1ns is negative`},
		"organisation 1": {pki.CARequest{Subject: pki.Subject{Organizations: []string{""}}}, `subject O "": it is empty`},
	} {
		d, err := pki.PrepareRoot(tt.request, now)
		if d != nil || err == nil || err.Error() != tt.want {
			t.Errorf("root, %s:\ngot  %v\nwant %s", name, err, tt.want)
		}
		d, err = pkitest.Root(t).PrepareCA(tt.request)
		if d != nil || err == nil || err.Error() != tt.want {
			t.Errorf("intermediate, %s:\ngot  %v\nwant %s", name, err, tt.want)
		}
	}
	if _, err := pki.PrepareRoot(pki.CARequest{Subject: pki.Subject{Organizations: []string{"Acme"}}}, now); err != nil {
		t.Errorf("a subject without a common name: %v", err)
	}
}
