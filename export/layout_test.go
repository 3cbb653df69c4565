package export

import (
	"encoding/pem"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func TestLayoutFill(t *testing.T) {
	t.Parallel()
	whole := aServer(t)
	keyless := &pki.Bundle{Chain: whole.Chain, Roots: whole.Roots}
	rootless := &pki.Bundle{Chain: whole.Chain, Key: whole.Key}
	root := authority(pkitest.Root, profiles.ECP256, pkitest.RootKey)(t)
	crls := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte("a CRL")})
	const leaf, issuing, top = "api.example.com", "Test issuing CA", "Test root CA"
	for name, tt := range map[string]struct {
		layout Layout
		bundle *pki.Bundle
		crls   []byte
		want   map[string][]string // name: what is in it
		err    error
		text   string
	}{
		"each part": {
			layout: Layout{
				item("leaf", Leaf), item("chain", Chain), item("full", FullChain), item("key", Key), item("roots", Roots), item("cas", CAs), maybe("crl", CRLs),
			},
			bundle: whole, crls: crls,
			want: map[string][]string{
				"leaf": {leaf}, "chain": {leaf, issuing}, "full": {leaf, issuing, top}, "key (private)": {"PRIVATE KEY"},
				"roots": {top}, "cas": {issuing, top}, "crl": {"X509 CRL"},
			},
		},
		"in a row": {
			layout: Layout{item("all.pem", Key, Chain, Roots)}, bundle: whole,
			want: map[string][]string{"all.pem (private)": {"PRIVATE KEY", leaf, issuing, top}},
		},
		"a root is its own chain": {
			layout: Layout{item("full", FullChain), item("cas", CAs)}, bundle: root,
			want: map[string][]string{"full": {top}, "cas": {top}},
		},
		"CRLs are never missing":   {layout: Layout{item("crl", CRLs), item("ca", Roots)}, bundle: whole, want: map[string][]string{"ca": {top}}},
		"optional without a key":   {layout: Layout{item("crt", Leaf), maybe("key", Key)}, bundle: keyless, want: map[string][]string{"crt": {leaf}}},
		"no key":                   {layout: Layout{item("a.pem", Chain, Key)}, bundle: keyless, err: ErrNoKey, text: "a.pem holds certificate and key: the bundle has no private key"},
		"no root":                  {layout: Layout{item("ca", Roots)}, bundle: rootless, err: ErrNoRoots, text: "ca holds root: the bundle has no root certificate"},
		"no root for a full chain": {layout: Layout{item("full", FullChain)}, bundle: rootless, err: ErrNoRoots, text: "full holds certificate: the bundle has no root certificate"},
		"an empty bundle":          {layout: Layout{item("crt", Leaf)}, bundle: &pki.Bundle{}, err: ErrNoCertificate, text: "the bundle has no certificate"},
	} {
		files, err := tt.layout.fill(tt.bundle, tt.crls)
		if tt.err != nil {
			if !errors.Is(err, tt.err) || err.Error() != tt.text {
				t.Errorf("%s: error %v, want %s", name, err, tt.text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := map[string][]string{}
		for i, n := range names(files) {
			got[n] = holdings(t, files[i].Data)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestLayoutNamed(t *testing.T) {
	t.Parallel()
	l := Layout{item("*.pem", Chain), item("ca.pem", Roots), item("*-*", Leaf)}
	if diff := cmp.Diff(Layout{item("web.pem", Chain), item("ca.pem", Roots), item("web-web", Leaf)}, l.named("web")); diff != "" {
		t.Error(diff)
	}
	if l[0].Name != "*.pem" {
		t.Error("the table's own layout was changed")
	}
}

// A shape replaces the layout of a format, and nothing else of it.
func TestWithShape(t *testing.T) {
	t.Parallel()
	b := aServer(t)
	crls := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte("a CRL")})
	shape := Shape{Layout: Layout{item("x.crt", Leaf), item("x.crl", CRLs)}, CRLs: crls, Object: "x"}
	for name, tt := range map[string]struct {
		format Shaped
		shape  Shape
		want   []string
	}{
		"PEM":                     {PEM{}, shape, []string{"x.crt", "x.crl"}},
		"PEM with CRLs":           {PEM{}, Shape{CRLs: crls}, []string{"tls.crt", "tls.key (private)", "ca.crt", "crl.pem"}},
		"a Secret":                {Secret{}, shape, []string{"x.yaml"}},
		"a Secret with a name":    {Secret{Name: "mine", JSON: true}, shape, []string{"mine.json"}},
		"a Secret of its own":     {Secret{}, Shape{Object: "x"}, []string{"x.yaml (private)"}},
		"a ConfigMap":             {ConfigMap{}, shape, []string{"x.yaml"}},
		"a ConfigMap with a name": {ConfigMap{Name: "mine"}, Shape{Object: "x"}, []string{"mine.yaml"}},
	} {
		files, err := tt.format.WithShape(tt.shape).Export(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.want, names(files)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestPEMEncoding(t *testing.T) {
	t.Parallel()
	b := aServer(t)
	files, err := PEM{Encoding: pki.SEC1}.Export(b)
	if err != nil {
		t.Fatal(err)
	}
	if got := holdings(t, files[1].Data); !cmp.Equal(got, []string{"EC PRIVATE KEY"}) || b.Encoding == pki.SEC1 {
		t.Errorf("the key is %v, the bundle's encoding %q", got, b.Encoding)
	}
}
