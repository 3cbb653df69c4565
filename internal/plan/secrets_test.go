package plan

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// caSecret is the Secret of an authority with the fixed P-256 key.
func caSecret(t testing.TB, key string, a *pki.Authority) *manifest.Secret {
	t.Helper()
	owner := pkitest.RootKey
	if len(a.FullChain()) > 1 {
		owner = pkitest.IssuingKey
	}
	return secret(key, map[string][]byte{
		"tls.crt": pki.MarshalCertificates(a.Chain()),
		"tls.key": pkitest.KeyPEM(t, profiles.ECP256, owner),
		"ca.crt":  pki.MarshalCertificates([]*x509.Certificate{a.Root()}),
	})
}

func TestCASecrets(t *testing.T) {
	t.Parallel()
	root, issuing := pkitest.Root(t), pkitest.Issuing(t)
	leaf := pkitest.Issue(t, root, profiles.Server(), pki.Request{SANs: pkitest.SANs(t, "web.example.com")})
	edited := func(s *manifest.Secret, key string, data []byte) *manifest.Secret {
		if s.Data[key] = data; data == nil {
			delete(s.Data, key)
		}
		return s
	}
	leafKey := pkitest.KeyPEM(t, profiles.ECP256, pkitest.LeafKey)
	const at = "Issuer tls/x: spec.ca.secretName: Secret tls/s: "
	for name, test := range map[string]struct {
		secret   *manifest.Secret
		problem  string
		warnings []string
	}{
		"root":         {secret: caSecret(t, "tls/s", root)},
		"intermediate": {secret: caSecret(t, "tls/s", issuing)},
		"without its root": {secret: edited(caSecret(t, "tls/s", issuing), "ca.crt", nil), warnings: []string{
			"Secret tls/s: data: the CA in Secret tls/s is an intermediate without its root: the ca.crt of what it signs will be the intermediate, and clients that want a root fail"}},
		"leaf as ca.crt": {secret: edited(caSecret(t, "tls/s", root), "ca.crt", leaf.ChainPEM()), problem: at + "its tls.crt and ca.crt are not one chain | "},
		"no key":         {secret: edited(caSecret(t, "tls/s", root), "tls.key", nil), problem: at + "it has no tls.key | "},
		"no certificate": {secret: edited(caSecret(t, "tls/s", root), "tls.crt", nil), problem: at + "it has no tls.crt | "},
		"another key":    {secret: edited(caSecret(t, "tls/s", root), "tls.key", leafKey), problem: at + "its tls.key does not belong to its tls.crt | "},
		"no CA":          {secret: secret("tls/s", map[string][]byte{"tls.crt": leaf.ChainPEM(), "tls.key": leafKey}), problem: at + "its certificate is no CA | "},
		"foreign ca.crt": {secret: edited(caSecret(t, "tls/s", issuing), "ca.crt", pki.MarshalCertificates([]*x509.Certificate{
			pkitest.NewRoot(t, pki.CARequest{Subject: pki.Subject{CommonName: "other"}, Key: profiles.ECP384}).Root()})),
			problem: at + "its tls.crt and ca.crt are not one chain | "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := inputOf(certificate("tls/a", ref("", "x")), certificate("tls/b", ref("", "y")), caIssuer("tls/x", "s"), caIssuer("tls/y", "s"), test.secret)
			if test.problem != "" {
				if got := problems(t, in); got[0] != test.problem {
					t.Errorf("got %q, want %q", got[0], test.problem)
				}
				return
			}
			p := mustMake(t, in)
			same(t, warnings(p), test.warnings)
			if len(p.Imports) != 1 || p.Imports[0].Name != "tls/s" || !p.Imports[0].Authority || p.Imports[0].Replaces {
				t.Errorf("imports %+v", p.Imports)
			}
		})
	}
}

func TestImports(t *testing.T) {
	t.Parallel()
	root := pkitest.Root(t)
	s := caSecret(t, "tls/s", root)
	objects := []any{certificate("tls/a", ref("", "x")), caIssuer("tls/x", "s"), s}
	there := func(a Actual) directory {
		a.Authority, a.NotAfter = true, pkitest.Clock().Add(day)
		return directory{"tls/s": &a, "tls/a": actual(certificate("tls/a", ref("", "x")), by("tls/s"))}
	}
	t.Run("there already", func(t *testing.T) {
		t.Parallel()
		p := mustMake(t, there(Actual{Fingerprint: sha256.Sum256(root.Root().Raw)}).with(inputOf(objects...)))
		if p.Imports != nil || p.Warnings != nil {
			t.Errorf("imports %+v, warnings %v", p.Imports, p.Warnings)
		}
	})
	t.Run("replaced", func(t *testing.T) {
		t.Parallel()
		p := mustMake(t, there(Actual{}).with(inputOf(objects...)))
		if len(p.Imports) != 1 || !p.Imports[0].Replaces {
			t.Errorf("imports %+v", p.Imports)
		}
		same(t, warnings(p), []string{"Certificate tls/a: authority tls/s is not the one any more that signed tls/a: they keep certificate and ca.crt until they are reissued"})
	})
	t.Run("a manifest's name", func(t *testing.T) {
		t.Parallel()
		same(t, problems(t, there(Actual{Applied: NewApplied(certificate("tls/s"))}).with(inputOf(objects...))),
			[]string{"Secret tls/s: metadata.name: the CA of this Secret would be tls/s in the PKI directory, and a manifest made another there | rename the Secret, or remove tls/s"})
	})
	t.Run("a CertificateRequest's name", func(t *testing.T) {
		t.Parallel()
		same(t, problems(t, inputOf(append(objects[1:3:3], request("tls/s", nil, issuedBy("", "x")))...)),
			[]string{"CertificateRequest tls/s: metadata.name: the CA of Secret tls/s would be tls/s in the PKI directory, too | rename the CertificateRequest"})
	})
	t.Run("expired", func(t *testing.T) {
		t.Parallel()
		in := inputOf(objects...)
		in.Now = root.NotAfter().Add(hour)
		same(t, warnings(mustMake(t, in)), []string{"Secret tls/s: data: the CA in Secret tls/s expired on " + pki.FormatTime(root.NotAfter()) + ": it signs nothing any more"})
	})
	t.Run("a Certificate's name", func(t *testing.T) {
		t.Parallel()
		same(t, problems(t, inputOf(append(objects[:3:3], certificate("tls/s"))...)),
			[]string{"Issuer tls/x: spec.ca.secretName: the CA of Secret tls/s and Certificate tls/s would both be tls/s in the PKI directory | rename the Certificate, or let it write that Secret"})
	})
}

// A Secret of the input that a Certificate of the input writes is taken over if
// cert-manager would keep it, for the reasons of section 4.1.
func TestAdopt(t *testing.T) {
	t.Parallel()
	ec := func(s *cmapi.CertificateSpec) { s.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: "ECDSA"} }
	root := pkitest.Root(t)
	leaf := pkitest.Issue(t, root, profiles.Server(), pki.Request{
		Subject: pki.Subject{CommonName: "cn"}, SANs: pkitest.SANs(t, "web.example.com", "10.0.0.1", "urn:a", "a@example.com"), Lifetime: pki.Lifetime{Validity: 90 * day}})
	data := func() map[string][]byte {
		return map[string][]byte{"tls.crt": leaf.ChainPEM(), "tls.key": pkitest.KeyPEM(t, profiles.ECP256, pkitest.LeafKey)}
	}
	fits := func(s *cmapi.CertificateSpec) {
		ec(s)
		s.CommonName, s.IPAddresses, s.URIs, s.EmailAddresses = "cn", []string{"10.0.0.1"}, []string{"urn:a"}, []string{"a@example.com"}
	}
	for name, test := range map[string]struct {
		spec   func(*cmapi.CertificateSpec)
		secret func(*manifest.Secret)
		want   string
	}{
		"fits":                    {want: "adopt tls/web; Adopted: key and certificate of Secret tls/web-tls in the input are what is asked for"},
		"common name as DNS name": {spec: func(s *cmapi.CertificateSpec) { s.CommonName = ""; s.DNSNames = []string{"cn", "web.example.com"} }, want: "adopt tls/web; Adopted: key and certificate of Secret tls/web-tls in the input are what is asked for"},
		"common name twice":       {spec: func(s *cmapi.CertificateSpec) { s.DNSNames = []string{"cn", "web.example.com"} }, want: "adopt tls/web; Adopted: key and certificate of Secret tls/web-tls in the input are what is asked for"},
		"subject is not compared": {spec: func(s *cmapi.CertificateSpec) { s.Subject = &cmapi.X509Subject{Organizations: []string{"x"}} }, want: "adopt tls/web; Adopted: key and certificate of Secret tls/web-tls in the input are what is asked for"},
		"2 no key":                {secret: func(s *manifest.Secret) { delete(s.Data, "tls.key") }, want: "create tls/web; MissingData: it has no tls.key"},
		"2 no certificate":        {secret: func(s *manifest.Secret) { s.Data["tls.crt"] = nil }, want: "create tls/web; MissingData: it has no tls.crt"},
		"3 another key":           {secret: func(s *manifest.Secret) { s.Data["tls.key"] = pkitest.KeyPEM(t, profiles.ECP256, pkitest.RootKey) }, want: "create tls/web; InvalidKeyPair: its tls.key does not belong to its tls.crt"},
		"3 no PEM":                {secret: func(s *manifest.Secret) { s.Data["tls.crt"] = []byte("x") }, want: "create tls/web; InvalidCertificate: tls.crt: no certificate in it"},
		"4 another issuer":        {secret: func(s *manifest.Secret) { s.Annotations = map[string]string{"cert-manager.io/issuer-name": "x"} }, want: "create tls/web; IncorrectIssuer: the Secret's annotations name another issuer"},
		"4 the issuer": {secret: func(s *manifest.Secret) {
			s.Annotations = map[string]string{"cert-manager.io/issuer-name": "ca", "cert-manager.io/issuer-kind": "Issuer"}
		}, want: "adopt tls/web; Adopted: key and certificate of Secret tls/web-tls in the input are what is asked for"},
		"4 no annotations, cluster": {spec: ref("ClusterIssuer", "ca"), want: "create tls/web; IncorrectIssuer: the Secret's annotations name another issuer"},
		"5 another Certificate":     {secret: func(s *manifest.Secret) { s.Annotations = map[string]string{"cert-manager.io/certificate-name": "x"} }, want: `create tls/web; IncorrectCertificate: the Secret was made for Certificate "x"`},
		"6 no privateKey is RSA":    {spec: func(s *cmapi.CertificateSpec) { s.PrivateKey = nil }, want: "create tls/web; SecretMismatch: the key is EC P-256, and RSA 2048 is asked for"},
		"8 names":                   {spec: func(s *cmapi.CertificateSpec) { s.DNSNames = nil }, want: "create tls/web; SecretMismatch: the certificate in the Secret differs: spec.commonName or spec.dnsNames"},
		"8 the rest": {spec: func(s *cmapi.CertificateSpec) { s.IPAddresses, s.URIs, s.EmailAddresses, s.IsCA = nil, nil, nil, true },
			want: "create tls/web; SecretMismatch: the certificate in the Secret differs: spec.ipAddresses, spec.uris, spec.emailAddresses, spec.isCA"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := certificate("tls/web", fits), secret("tls/web-tls", data())
			if test.spec != nil {
				test.spec(&c.Spec)
			}
			if test.secret != nil {
				test.secret(s)
			}
			in := inputOf(c, s, selfIssuer("ca"))
			p := mustMake(t, in)
			same(t, lines(p), []string{test.want})
			if adopted := p.Actions[0].Verb == Adopt; adopted != (len(p.Imports) == 1 && p.Imports[0].Certificate == c && p.Imports[0].Name == "tls/web" && !p.Imports[0].Authority) {
				t.Errorf("imports %+v", p.Imports)
			}
			// What is in the PKI directory wins.
			p = mustMake(t, directory{"tls/web": actual(c)}.with(in))
			if p.Actions[0].Verb != Keep || p.Imports != nil {
				t.Errorf("got %s, imports %+v", p.Actions[0].Verb, p.Imports)
			}
			const passedOver = "Secret tls/web-tls: data: it holds another certificate than tls/web in the PKI directory, and is passed over"
			if readable := name[0] != '2' && name[0] != '3'; readable != slices.Contains(warnings(p), passedOver) {
				t.Errorf("warnings %q", warnings(p))
			}
		})
	}
	t.Run("9 due, later", func(t *testing.T) {
		t.Parallel()
		in := inputOf(certificate("tls/web", fits), secret("tls/web-tls", data()))
		in.Now = in.Now.Add(80 * day)
		if got := mustMake(t, in).Actions[0]; got.Verb != Create || got.Reasons[0].Name != Renewing {
			t.Errorf("got %s, %v", got.Verb, got.Reasons)
		}
	})
	t.Run("not the key, though it is to stay", func(t *testing.T) {
		t.Parallel()
		p := mustMake(t, inputOf(certificate("tls/web", never), secret("tls/web-tls", data())))
		same(t, warnings(p), []string{"Certificate tls/web: spec.privateKey.rotationPolicy: a new key is made though it is Never: the one in Secret tls/web-tls is not taken over"})
	})
	t.Run("an authority", func(t *testing.T) {
		t.Parallel()
		ca := certificate("tls/root", isCA, ec, func(s *cmapi.CertificateSpec) { s.DNSNames, s.CommonName = nil, "Test root CA" })
		p := mustMake(t, inputOf(certificate("tls/a", ref("", "x")), caIssuer("tls/x", "root-tls"), ca, caSecret(t, "tls/root-tls", root)))
		same(t, lines(p), []string{"adopt tls/root; Adopted: key and certificate of Secret tls/root-tls in the input are what is asked for", "create tls/a; DoesNotExist: there is none yet"})
		if len(p.Imports) != 1 || p.Imports[0].Name != "tls/root" || !p.Imports[0].Authority {
			t.Errorf("imports %+v", p.Imports)
		}
	})
}
