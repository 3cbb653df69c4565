package manifest

import (
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mtlsctl/mtlsctl/pki"
)

func testObject(kind string) *object {
	return &object{
		Origin: Origin{File: "a.yaml", Line: 1, Document: 1, Kind: kind, Key: Key{"shop", "web"}},
		line:   func(string) int { return 7 },
	}
}

// said is what was found, in the form PATH: TEXT, warnings after problems and
// with a ~ before them.
func said(o *object) (all []string) {
	for _, p := range o.problems {
		all = append(all, p.Path+": "+p.Text)
	}
	for _, w := range o.warnings {
		all = append(all, "~"+w.Path+": "+w.Text)
	}
	return all
}

// expect compares what was said with what is wanted of it: each finding begins
// with a path, and has the rest of the line somewhere in its text.
func expect(t *testing.T, o *object, want []string) {
	t.Helper()
	got := said(o)
	ok := len(got) == len(want)
	for i := 0; ok && i < len(want); i++ {
		path, words, _ := strings.Cut(want[i], ": ")
		ok = strings.HasPrefix(got[i], path+": ") && strings.Contains(got[i][len(path)+2:], words)
	}
	if !ok {
		t.Errorf("got:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	for _, p := range o.problems {
		if strings.HasSuffix(p.Text, ".") || p.Line != 7 {
			t.Errorf("%v: ends in a full stop, or line %d is not 7", p, p.Line)
		}
	}
}

func d(s string) *metav1.Duration {
	v, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return &metav1.Duration{Duration: v}
}

// spec is a Certificate with which nothing is wrong.
func spec() cmapi.CertificateSpec {
	return cmapi.CertificateSpec{
		SecretName: "web-tls",
		DNSNames:   []string{"web.example.com"},
		IssuerRef:  cmmeta.IssuerReference{Name: "ca"},
		Usages:     []cmapi.KeyUsage{cmapi.UsageDigitalSignature, cmapi.UsageServerAuth},
	}
}

// authority is one of an authority.
func authority() cmapi.CertificateSpec {
	s := spec()
	s.DNSNames, s.CommonName, s.IsCA = nil, "ca", true
	s.Usages = []cmapi.KeyUsage{cmapi.UsageCRLSign}
	return s
}

type certCase struct {
	name string
	edit func(s *cmapi.CertificateSpec)
	want []string
}

func checkCases(t *testing.T, base func() cmapi.CertificateSpec, cases []certCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := testObject("Certificate")
			cert := &Certificate{Origin: o.Origin, Spec: base()}
			if c.edit != nil {
				c.edit(&cert.Spec)
			}
			checkCertificate(o, cert)
			expect(t, o, c.want)
			if len(o.problems) > 0 {
				return
			}
			// What comes through can be asked for.
			if _, err := cert.Request(noURLs); err != nil {
				t.Errorf("checked and found good, but: %v", err)
			}
		})
	}
}

func TestCheckCertificate(t *testing.T) {
	t.Parallel()
	checkCases(t, spec, []certCase{
		{"good", nil, nil},
		{"many", func(s *cmapi.CertificateSpec) { *s = cmapi.CertificateSpec{} }, []string{
			"spec: names nobody",
			"spec.issuerRef.name: missing",
			"spec.secretName: missing",
		}},
		{"issuer kind", func(s *cmapi.CertificateSpec) { s.IssuerRef.Kind = "AWSPCAIssuer" }, []string{"spec.issuerRef.kind: no issuers of kind \"AWSPCAIssuer\""}},
		{"issuer kind, own group", func(s *cmapi.CertificateSpec) { s.IssuerRef.Kind, s.IssuerRef.Group = "Foo", "cert-manager.io" }, []string{"spec.issuerRef.kind: no issuers"}},
		{"cluster issuer", func(s *cmapi.CertificateSpec) { s.IssuerRef.Kind = "ClusterIssuer" }, nil},
		{"foreign issuer", func(s *cmapi.CertificateSpec) {
			s.IssuerRef.Kind, s.IssuerRef.Group = "AWSPCAIssuer", "awspca.cert-manager.io"
		}, nil},
		{"foreign issuer without name", func(s *cmapi.CertificateSpec) { s.IssuerRef.Name, s.IssuerRef.Group = "", "x.io" }, []string{"spec.issuerRef.name: missing"}},
		{"usage", func(s *cmapi.CertificateSpec) { s.Usages = append(s.Usages, "serverAuth") }, []string{"spec.usages[2]: unknown usage \"serverAuth\""}},
		{"no usages", func(s *cmapi.CertificateSpec) { s.Usages = nil }, []string{"~spec.usages: no extended key usage"}},
		{"cert sign", func(s *cmapi.CertificateSpec) { s.Usages = append(s.Usages, "cert sign") }, []string{"~spec.usages[2]: does not make an authority"}},
		{"usages not encoded", func(s *cmapi.CertificateSpec) { s.EncodeUsagesInRequest = new(bool) }, []string{"~spec.encodeUsagesInRequest: has no effect"}},
		{"history", func(s *cmapi.CertificateSpec) { s.RevisionHistoryLimit = new(int32) }, []string{"spec.revisionHistoryLimit: 0"}},
		{"history of one", func(s *cmapi.CertificateSpec) { n := int32(1); s.RevisionHistoryLimit = &n }, nil},
	})
	o := testObject("Certificate")
	checkCertificate(o, &Certificate{Spec: spec(), Annotations: map[string]string{"cert-manager.io/issue-temporary-certificate": "true"}})
	expect(t, o, []string{"~metadata.annotations[cert-manager.io/issue-temporary-certificate]: does nothing"})
}

func TestHints(t *testing.T) {
	t.Parallel()
	o := testObject("Certificate")
	s := spec()
	s.IssuerRef.Kind = "AWSPCAIssuer"
	s.DNSNames = []string{"bücher.example"}
	s.EmailAddresses = []string{"Alice <alice@example.com>"}
	s.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: "rsa"}
	s.Usages = append(s.Usages, "serverAuth")
	checkCertificate(o, &Certificate{Spec: s})
	var got []string
	for _, p := range o.problems {
		got = append(got, p.Hint)
	}
	want := []string{
		`write it as "xn--bcher-kva.example"`,
		"write alice@example.com alone",
		"write RSA",
		"write server auth",
		"write Issuer or ClusterIssuer; if it is the kind of another project's issuer, set spec.issuerRef.group too",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCheckKey(t *testing.T) {
	t.Parallel()
	key := func(k cmapi.CertificatePrivateKey, alg cmapi.SignatureAlgorithm) func(*cmapi.CertificateSpec) {
		return func(s *cmapi.CertificateSpec) { s.PrivateKey, s.SignatureAlgorithm = &k, alg }
	}
	type pk = cmapi.CertificatePrivateKey
	const signs = "~spec.signatureAlgorithm: signs the request only"
	checkCases(t, spec, []certCase{
		{"algorithm", key(pk{Algorithm: "DSA"}, ""), []string{`spec.privateKey.algorithm: "DSA" is not one of RSA, ECDSA, Ed25519`}},
		{"RSA 2047", key(pk{Size: 2047}, ""), []string{"spec.privateKey.size: 2047 bits"}},
		{"RSA 8193", key(pk{Algorithm: "RSA", Size: 8193}, ""), []string{"spec.privateKey.size: 8193 bits"}},
		{"RSA 2049", key(pk{Algorithm: "RSA", Size: 2049}, ""), nil},
		{"RSA 8192", key(pk{Size: 8192}, ""), nil},
		{"negative", key(pk{Size: -1}, ""), []string{"spec.privateKey.size: -1 is negative"}},
		{"ECDSA 255", key(pk{Algorithm: "ECDSA", Size: 255}, ""), []string{"spec.privateKey.size: 256, 384 or 521"}},
		{"ECDSA 521", key(pk{Algorithm: "ECDSA", Size: 521}, ""), nil},
		{"Ed25519 of any size", key(pk{Algorithm: "Ed25519", Size: -5}, ""), nil},
		{"encoding", key(pk{Encoding: "pkcs8"}, ""), []string{`spec.privateKey.encoding: "pkcs8" is not one of PKCS1, PKCS8`}},
		{"rotation", key(pk{RotationPolicy: "Sometimes"}, ""), []string{"spec.privateKey.rotationPolicy: not one of Always, Never"}},
		{"never", key(pk{RotationPolicy: "Never"}, ""), []string{"~spec.privateKey.rotationPolicy: keeps the key"}},
		{"signature for RSA", key(pk{}, cmapi.ECDSAWithSHA256), []string{`spec.signatureAlgorithm: "ECDSAWithSHA256" is not for RSA keys`}},
		{"signature for Ed25519", key(pk{Algorithm: "Ed25519"}, cmapi.SHA256WithRSA), []string{"spec.signatureAlgorithm: PureEd25519"}},
		{"signature unknown", key(pk{}, "MD5WithRSA"), []string{"spec.signatureAlgorithm: SHA256WithRSA, SHA384WithRSA, SHA512WithRSA"}},
		{"RSA 2048 usual", key(pk{}, cmapi.SHA256WithRSA), nil},
		{"RSA 2048 other", key(pk{}, cmapi.SHA512WithRSA), []string{signs}},
		{"RSA 3072 usual", key(pk{Size: 3072}, cmapi.SHA384WithRSA), nil},
		{"RSA 4096 usual", key(pk{Size: 4096}, cmapi.SHA512WithRSA), nil},
		{"RSA 4096 other", key(pk{Size: 4096}, cmapi.SHA256WithRSA), []string{signs}},
		{"P-256 usual", key(pk{Algorithm: "ECDSA"}, cmapi.ECDSAWithSHA256), nil},
		{"P-384 usual", key(pk{Algorithm: "ECDSA", Size: 384}, cmapi.ECDSAWithSHA384), nil},
		{"P-521 usual", key(pk{Algorithm: "ECDSA", Size: 521}, cmapi.ECDSAWithSHA512), nil},
		{"P-521 other", key(pk{Algorithm: "ECDSA", Size: 521}, cmapi.ECDSAWithSHA256), []string{signs}},
		{"Ed25519 usual", key(pk{Algorithm: "Ed25519", Size: 521}, cmapi.PureEd25519), nil},
	})
}

func TestCheckAuthority(t *testing.T) {
	t.Parallel()
	nc := func(n cmapi.NameConstraints) func(*cmapi.CertificateSpec) {
		return func(s *cmapi.CertificateSpec) { s.NameConstraints = &n }
	}
	type item = cmapi.NameConstraintItem
	permitted := func(i item) func(*cmapi.CertificateSpec) {
		return nc(cmapi.NameConstraints{Critical: true, Permitted: &i})
	}
	const path = "spec.nameConstraints"
	checkCases(t, authority, []certCase{
		{"good", nil, nil},
		{"no crl sign", func(s *cmapi.CertificateSpec) { s.Usages = nil }, []string{"~spec.usages: cannot sign CRLs"}},
		{"constraints", permitted(item{DNSDomains: []string{"example.com", ".example.com", ""}, IPRanges: []string{"10.0.0.0/8", "fd00::/8"},
			EmailAddresses: []string{"a@example.com", "example.com", ".example.com"}, URIDomains: []string{"example.com"}}), nil},
		{"not critical", nc(cmapi.NameConstraints{Excluded: &item{DNSDomains: []string{"x"}}}), []string{"~" + path + ".critical: not set"}},
		{"neither", nc(cmapi.NameConstraints{Critical: true}), []string{path + ": nothing is permitted and nothing excluded"}},
		{"empty", permitted(item{}), []string{"~" + path + ": no name constraints"}},
		{"range", permitted(item{IPRanges: []string{"10.0.0.1", "10.0.0.0/8"}}), []string{path + `.permitted.ipRanges[0]: "10.0.0.1" is no CIDR`}},
		{"dot at the end", permitted(item{DNSDomains: []string{"x.com."}}), []string{path + ".permitted.dnsDomains[0]: could not be read"}},
		{"a dot alone", permitted(item{DNSDomains: []string{"."}}), []string{path + ".permitted.dnsDomains[0]: could not be read"}},
		{"named otherwise", func(s *cmapi.CertificateSpec) { s.DNSNames = []string{"ca.example.com"} }, nil},
		{"not ASCII", permitted(item{DNSDomains: []string{"é.com"}}), []string{path + ".permitted.dnsDomains[0]: no domain name"}},
		{"wildcard", permitted(item{DNSDomains: []string{"*.x.com"}}), []string{"~" + path + ".permitted.dnsDomains[0]: matches nothing"}},
		{"mailbox", permitted(item{EmailAddresses: []string{"@x.com", "a b"}}), []string{path + ".permitted.emailAddresses[0]: mailbox", path + ".permitted.emailAddresses[1]: mailbox"}},
		{"URI", nc(cmapi.NameConstraints{Critical: true, Excluded: &item{URIDomains: []string{"10.0.0.1", "x..com"}}}), []string{
			path + ".excluded.uriDomains[0]: IP address", path + ".excluded.uriDomains[1]: no host or domain"}},
		{"no authority", func(s *cmapi.CertificateSpec) {
			s.IsCA = false
			permitted(item{DNSDomains: []string{"x"}})(s)
		}, []string{path + ": isCA is not set"}},
	})
}

func TestCheckSecret(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		s    Secret
		want []string
	}{
		{"opaque", Secret{Data: map[string][]byte{"password": nil}}, nil},
		{"tls", Secret{Type: "kubernetes.io/tls", Data: map[string][]byte{"tls.crt": nil, "tls.key": []byte("x")}}, nil},
		{"tls without a key", Secret{Type: "kubernetes.io/tls", Data: map[string][]byte{"tls.crt": nil}}, []string{"data[tls.key]: missing"}},
		{"key", Secret{Data: map[string][]byte{"a/b": nil, "..": nil}}, []string{"data[..]: no key", "data[a/b]: no key"}},
		{"too large", Secret{Data: map[string][]byte{"a": make([]byte, 1<<20), "b": {1}}}, []string{"data: 1048577 bytes"}},
		{"just not", Secret{Data: map[string][]byte{"a": make([]byte, 1<<20)}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := testObject("Secret")
			checkSecret(o, &c.s)
			expect(t, o, c.want)
		})
	}
}

var noURLs = pki.URLs{}
