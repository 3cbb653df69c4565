package plan

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// request makes a CertificateRequest of issuer "x".
func request(key string, csr []byte, edit ...func(*manifest.Request)) *manifest.Request {
	ns, name, _ := strings.Cut(key, "/")
	r := &manifest.Request{
		Origin: manifest.Origin{File: "in.yaml", Kind: "CertificateRequest", Key: manifest.Key{Namespace: ns, Name: name}},
		Spec:   cmapi.CertificateRequestSpec{Request: csr},
	}
	r.Spec.IssuerRef.Name = "ca"
	for _, e := range edit {
		e(r)
	}
	return r
}

// leafCSR is signed with the fixed leaf key.
func leafCSR(t *testing.T) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"a"}}, pkitest.Key(t, profiles.ECP256, pkitest.LeafKey))
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func keyIn(secret string) func(*manifest.Request) {
	return func(r *manifest.Request) {
		r.Annotations = map[string]string{"cert-manager.io/private-key-secret-name": secret}
	}
}

func issuedBy(kind, name string) func(*manifest.Request) {
	return func(r *manifest.Request) { r.Spec.IssuerRef.Kind, r.Spec.IssuerRef.Name = kind, name }
}

func TestRequests(t *testing.T) {
	t.Parallel()
	lasts := func(d time.Duration) func(*manifest.Request) {
		return func(r *manifest.Request) { r.Spec.Duration = &metav1.Duration{Duration: d} }
	}
	usages := func(u ...cmapi.KeyUsage) func(*manifest.Request) {
		return func(r *manifest.Request) { r.Spec.Usages = u }
	}
	old := request("tls/r", []byte("csr"), issuedBy("", "x"), usages("server auth", "client auth"))
	for name, test := range map[string]struct {
		edit          func(*manifest.Request)
		is            func(*Actual)
		want, warning string
	}{
		"kept":             {want: "keep tls/r"},
		"csr":              {edit: func(r *manifest.Request) { r.Spec.Request = []byte("other") }, want: "reissue tls/r; RequestChanged: changed: spec.request"},
		"duration":         {edit: lasts(day), want: "reissue tls/r; RequestChanged: changed: spec.duration"},
		"default":          {edit: lasts(90 * day), want: "keep tls/r"},
		"usages":           {edit: usages("client auth", "server auth"), want: "reissue tls/r; RequestChanged: changed: spec.usages"},
		"isCA":             {edit: func(r *manifest.Request) { r.Spec.IsCA = true }, want: "reissue tls/r; RequestChanged: changed: spec.isCA"},
		"issuer":           {edit: issuedBy("", "y"), want: "reissue tls/r; RequestChanged: changed: spec.issuerRef"},
		"issuer respelt":   {edit: issuedBy("Issuer", "x"), want: "keep tls/r"},
		"due, not renewed": {is: func(a *Actual) { a.NotAfter = pkitest.Clock().Add(hour) }, want: "keep tls/r"},
		"expired": {is: func(a *Actual) { a.NotAfter = pkitest.Clock().Add(-hour) }, want: "keep tls/r",
			warning: "CertificateRequest tls/r: spec.request: its certificate expired on 2026-06-15 11:00:00 UTC, and a CertificateRequest is not renewed: make another"},
		"revoked": {is: func(a *Actual) { a.Revoked = true }, want: "keep tls/r",
			warning: "CertificateRequest tls/r: spec.request: its certificate is revoked: make a request with a new key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request("tls/r", []byte("csr"), issuedBy("", "x"), usages("server auth", "client auth"))
			if test.edit != nil {
				test.edit(r)
			}
			is := &Actual{Issuer: "root", NotAfter: pkitest.Clock().Add(day), Applied: NewAppliedRequest(old)}
			if test.is != nil {
				test.is(is)
			}
			in := directory{"tls/r": is, "root": {Authority: true, NotAfter: pkitest.Clock().Add(day)}}.with(inputOf(r))
			in.StandIns = []StandIn{{Name: "x", Authority: "root"}, {Name: "y", Authority: "root"}}
			p := mustMake(t, in)
			same(t, lines(p), []string{test.want})
			if test.warning != "" && (len(p.Warnings) == 0 || warnings(p)[0] != test.warning) {
				t.Errorf("got warnings %q, want %q", warnings(p), test.warning)
			}
		})
	}
}

// A CertificateRequest signs itself with the key of a Secret.
func TestSelfSignedRequests(t *testing.T) {
	t.Parallel()
	csr := leafCSR(t)
	key := map[string][]byte{"tls.key": pkitest.KeyPEM(t, profiles.ECP256, pkitest.LeafKey)}
	other := map[string][]byte{"tls.key": pkitest.KeyPEM(t, profiles.ECP256, pkitest.RootKey)}
	const path = "metadata.annotations[cert-manager.io/private-key-secret-name]: "
	for name, test := range map[string]struct {
		in      Input
		want    Signer
		refused string
	}{
		"a Secret of the input": {
			in:   inputOf(request("tls/r", csr, keyIn("k")), secret("tls/k", key)),
			want: Signer{SelfSigned: true, Key: manifest.Key{Namespace: "tls", Name: "k"}},
		},
		"a Certificate's": {
			in:   directory{"tls/c": actual(certificate("tls/c"))}.with(inputOf(request("tls/r", csr, keyIn("c-tls")), certificate("tls/c"))),
			want: Signer{SelfSigned: true, Key: manifest.Key{Namespace: "tls", Name: "c-tls"}, KeyOf: "tls/c"},
		},
		"a Certificate's, made now": {
			in:      inputOf(request("tls/r", csr, keyIn("c-tls")), certificate("tls/c")),
			refused: "tls/r <- : " + path + "the key of Secret tls/c-tls is made in this run, for Certificate tls/c: it is not the request's | let the request be made when the key is there",
		},
		"no annotation": {
			in:      inputOf(request("tls/r", csr)),
			refused: "tls/r <- : " + path + "a CertificateRequest signs itself with the key of the Secret named there, and it is missing | set it to the name of the Secret that holds the request's key",
		},
		"no Secret": {
			in:      inputOf(request("tls/r", csr, keyIn("key")), secret("tls/keys", key)),
			refused: "tls/r <- : " + path + "there is no Secret tls/key in the input, and no Certificate writes it; there is Secret tls/keys | add the Secret to the input",
		},
		"another key": {
			in:      inputOf(request("tls/r", csr, keyIn("k")), secret("tls/k", other)),
			refused: "tls/r <- : " + path + "the key of Secret tls/k is not the request's | name the Secret with the request's key",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := mustMake(t, test.in)
			if test.refused != "" {
				same(t, refusals(p), []string{test.refused})
				return
			}
			last := p.Actions[len(p.Actions)-1]
			if diff := cmp.Diff(&test.want, last.Signer); diff != "" || last.Name != "tls/r" || last.Verb != Create {
				t.Errorf("%s %s: -want +got:\n%s", last.Verb, last.Name, diff)
			}
		})
	}
}
