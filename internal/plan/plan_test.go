package plan

import (
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	cmacme "github.com/cert-manager/cert-manager/pkg/apis/acme/v1"
	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mtlsctl/mtlsctl/internal/manifest"
	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/profiles"
)

const (
	hour = time.Hour
	day  = 24 * hour
)

// certificate makes a Certificate ns/name of issuer "ca" with a Secret NAME-tls.
func certificate(key string, edit ...func(*cmapi.CertificateSpec)) *manifest.Certificate {
	ns, name, _ := strings.Cut(key, "/")
	c := &manifest.Certificate{
		Origin: manifest.Origin{File: "in.yaml", Kind: "Certificate", Key: manifest.Key{Namespace: ns, Name: name}},
		Spec:   cmapi.CertificateSpec{DNSNames: []string{name + ".example.com"}, SecretName: name + "-tls"},
	}
	c.Spec.IssuerRef.Name = "ca"
	for _, e := range edit {
		e(&c.Spec)
	}
	return c
}

func ref(kind, name string) func(*cmapi.CertificateSpec) {
	return func(s *cmapi.CertificateSpec) { s.IssuerRef.Kind, s.IssuerRef.Name = kind, name }
}

func secretName(name string) func(*cmapi.CertificateSpec) {
	return func(s *cmapi.CertificateSpec) { s.SecretName = name }
}

func isCA(s *cmapi.CertificateSpec) { s.IsCA = true }

func never(s *cmapi.CertificateSpec) {
	s.PrivateKey = &cmapi.CertificatePrivateKey{RotationPolicy: cmapi.RotationPolicyNever}
}

// issuerOf makes an Issuer, or without a namespace a ClusterIssuer.
func issuerOf(key string, c cmapi.IssuerConfig) *manifest.Issuer {
	o := manifest.Origin{File: "in.yaml", Kind: cmapi.IssuerKind}
	var ok bool
	if o.Namespace, o.Name, ok = strings.Cut(key, "/"); !ok {
		o.Kind, o.Namespace, o.Name = cmapi.ClusterIssuerKind, "", key
	}
	return &manifest.Issuer{Origin: o, Spec: cmapi.IssuerSpec{IssuerConfig: c}}
}

func caIssuer(key, secret string) *manifest.Issuer {
	return issuerOf(key, cmapi.IssuerConfig{CA: &cmapi.CAIssuer{SecretName: secret}})
}

func selfIssuer(key string) *manifest.Issuer {
	return issuerOf(key, cmapi.IssuerConfig{SelfSigned: &cmapi.SelfSignedIssuer{}})
}

func acmeIssuer(key string) *manifest.Issuer {
	return issuerOf(key, cmapi.IssuerConfig{ACME: &cmacme.ACMEIssuer{}})
}

func secret(key string, data map[string][]byte) *manifest.Secret {
	ns, name, _ := strings.Cut(key, "/")
	return &manifest.Secret{Origin: manifest.Origin{File: "in.yaml", Kind: "Secret", Key: manifest.Key{Namespace: ns, Name: name}}, Data: data}
}

// inputOf makes the input of objects, and, unless issuer "ca" of namespace tls is
// among them, makes that one self-signed.
func inputOf(objects ...any) Input {
	s := &manifest.Set{Issuers: map[manifest.IssuerKey]*manifest.Issuer{}, Secrets: map[manifest.Key]*manifest.Secret{}, Passed: map[string]int{}}
	objects = append([]any{selfIssuer("tls/ca")}, objects...)
	for _, o := range objects {
		switch o := o.(type) {
		case *manifest.Certificate:
			s.Certificates = append(s.Certificates, o)
		case *manifest.Request:
			s.Requests = append(s.Requests, o)
		case *manifest.Issuer:
			s.Issuers[manifest.IssuerKey{Kind: o.Kind, Key: o.Key}] = o
		case *manifest.Secret:
			s.Secrets[o.Key] = o
		case manifest.Reference:
			s.References = append(s.References, o)
		}
	}
	return directory{}.input(s)
}

// A directory is what there is.
type directory map[string]*Actual

func (d directory) input(s *manifest.Set) Input {
	return Input{
		Set: s, Now: pkitest.Clock(),
		Actual:      func(name string) (*Actual, error) { return d[name], nil },
		Applied:     maps.Keys(d),
		Authorities: func(name string) bool { return d[name] != nil && d[name].Authority },
	}
}

func (d directory) with(in Input) Input {
	return d.input(in.Set)
}

// actual is what there is after c has been issued 30 days ago, for 90 days.
func actual(c *manifest.Certificate, edit ...func(*Actual)) *Actual {
	a := &Actual{
		Authority: c.Spec.IsCA, Issuer: c.Key.String(), HasKey: true, Key: wantedKey(&c.Spec),
		NotBefore: pkitest.Clock().Add(-30 * day), NotAfter: pkitest.Clock().Add(60 * day),
		Fingerprint: sha256.Sum256([]byte(c.Key.String())), Applied: NewApplied(c),
	}
	for _, e := range edit {
		e(a)
	}
	return a
}

func by(issuer string) func(*Actual) { return func(a *Actual) { a.Issuer = issuer } }

// mustMake makes a plan.
func mustMake(t testing.TB, in Input) *Plan {
	t.Helper()
	p, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// lines writes a plan's actions short: verb, name, reasons.
func lines(p *Plan) []string {
	var all []string
	for _, a := range p.Actions {
		s := string(a.Verb) + " " + a.Name
		for _, r := range a.Reasons {
			s += "; " + r.String()
		}
		all = append(all, s)
	}
	return all
}

func warnings(p *Plan) []string {
	var all []string
	for _, w := range p.Warnings {
		all = append(all, strings.TrimPrefix(manifest.Problem{Origin: w.Origin, Path: w.Path, Text: w.Text}.String(), "in.yaml: "))
	}
	return all
}

func problems(t *testing.T, in Input) []string {
	t.Helper()
	_, err := Make(in)
	var list manifest.Problems
	if !errors.As(err, &list) {
		t.Fatalf("got error %v, want problems", err)
	}
	var all []string
	for _, p := range list {
		all = append(all, strings.TrimPrefix(p.String(), "in.yaml: ")+" | "+p.Hint)
	}
	return all
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestReasons has every reason of sections 4.1, 4.2 and 4.3 that a record in the
// PKI directory can give, and what gives none.
func TestReasons(t *testing.T) {
	t.Parallel()
	type spec = cmapi.CertificateSpec
	type edit = func(*spec)
	rsa := func(size int) edit {
		return func(s *spec) { s.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: "RSA", Size: size} }
	}
	lasts := func(d time.Duration) edit {
		return func(s *spec) { s.Duration = &metav1.Duration{Duration: d} }
	}
	usages := func(u ...cmapi.KeyUsage) edit { return func(s *spec) { s.Usages = u } }
	subject := func(f func(*cmapi.X509Subject)) edit {
		return func(s *spec) { s.Subject = &cmapi.X509Subject{}; f(s.Subject) }
	}
	literal := func(l string) edit {
		return func(s *spec) { s.LiteralSubject, s.CommonName = l, "" }
	}
	policy := func(p cmapi.CertificateRenewalPolicy) edit {
		return func(s *spec) { s.Renewal = &cmapi.CertificateRenewal{Policy: p} }
	}
	jks := func(f func(*cmapi.JKSKeystore)) edit {
		return func(s *spec) {
			pw := "secret-password"
			s.Keystores = &cmapi.CertificateKeystores{JKS: &cmapi.JKSKeystore{Create: true, Password: &pw}}
			f(s.Keystores.JKS)
		}
	}
	p12 := func(profile cmapi.PKCS12Profile) edit {
		return func(s *spec) {
			pw := "secret-password"
			s.Keystores = &cmapi.CertificateKeystores{PKCS12: &cmapi.PKCS12Keystore{Create: true, Password: &pw, Profile: profile}}
		}
	}
	const keep = "keep tls/web"
	for name, test := range map[string]struct {
		old, now []edit
		is       func(*Actual)
		want     string
		warning  string
	}{
		"nothing changed": {want: keep},

		// Section 4.1.
		"1 secretName":       {now: []edit{secretName("new")}, want: "reissue tls/web; DoesNotExist: there is no Secret tls/new yet: it was web-tls"},
		"2 no key":           {is: func(a *Actual) { a.HasKey = false }, want: "reissue tls/web; MissingData: its private key is not there"},
		"3 damaged":          {is: func(a *Actual) { a.Damage = &Reason{InvalidKeyPair, "they differ", nil} }, want: "reissue tls/web; InvalidKeyPair: they differ"},
		"4 issuer's name":    {now: []edit{ref("", "other")}, want: "reissue tls/web; IncorrectIssuer: it was issued by Issuer tls/ca, and Issuer tls/other is asked for"},
		"4 issuer's kind":    {now: []edit{ref("ClusterIssuer", "ca")}, want: "reissue tls/web; IncorrectIssuer: it was issued by Issuer tls/ca, and ClusterIssuer ca is asked for"},
		"6 key's algorithm":  {is: func(a *Actual) { a.Key = profiles.ECP256 }, want: "reissue tls/web; SecretMismatch: the key is EC P-256, and RSA 2048 is asked for"},
		"6 key's size":       {now: []edit{rsa(3072)}, want: "reissue tls/web; SecretMismatch: the key is RSA 2048, and RSA 3072 is asked for"},
		"6 default is equal": {now: []edit{rsa(2048)}, want: keep},
		"9 due":              {is: func(a *Actual) { a.NotAfter = pkitest.Clock().Add(10 * day) }, want: "reissue tls/web; Renewing: it is due since 2026-06-12 04:00:00 UTC"},
		"9 expired":          {is: func(a *Actual) { a.NotAfter = pkitest.Clock().Add(-day) }, want: "reissue tls/web; Renewing: it expired on 2026-06-14 12:00:00 UTC"},
		"9 disabled": {old: []edit{policy("Disabled")}, is: func(a *Actual) { a.NotAfter = pkitest.Clock().Add(-day) }, want: keep,
			warning: "Certificate tls/web: spec.renewal.policy: it expired on 2026-06-14 12:00:00 UTC, and Disabled keeps it so"},
		"9 no window opens": {old: []edit{func(s *spec) {
			s.Renewal = &cmapi.CertificateRenewal{Policy: "RenewBefore", Windows: []cmapi.CertificateRenewalWindows{{Cron: "0 0 30 2 *", WindowDuration: &metav1.Duration{Duration: hour}}}}
		}}, is: func(a *Actual) { a.NotAfter = pkitest.Clock().Add(10 * day) },
			want:    "reissue tls/web; Renewing: it is due since 2026-06-12 04:00:00 UTC",
			warning: "Certificate tls/web: spec.renewal.windows: no renewal window opens between 2026-06-12T04:00:00Z and the certificate's end, 2026-06-25T12:00:00Z: it is renewed without them, on 2026-06-12 04:00:00 UTC"},
		"revoked": {is: func(a *Actual) { a.Revoked = true }, want: "reissue tls/web; Revoked: it is revoked"},
		"all that hold, in order": {now: []edit{ref("", "other"), usages("server auth")}, is: func(a *Actual) { a.HasKey = false; a.Revoked = true },
			want: "reissue tls/web; MissingData: its private key is not there; IncorrectIssuer: it was issued by Issuer tls/ca, and Issuer tls/other is asked for; RequestChanged: changed: spec.usages; Revoked: it is revoked"},

		// Section 4.2.
		"dnsNames":                    {now: []edit{func(s *spec) { s.DNSNames = []string{"a"} }}, want: "reissue tls/web; RequestChanged: changed: spec.dnsNames"},
		"dnsNames, another order":     {old: []edit{func(s *spec) { s.DNSNames = []string{"a", "b"} }}, now: []edit{func(s *spec) { s.DNSNames = []string{"b", "a"} }}, want: keep},
		"dnsNames, twice":             {old: []edit{func(s *spec) { s.DNSNames = []string{"a", "b", "b"} }}, now: []edit{func(s *spec) { s.DNSNames = []string{"a", "a", "b"} }}, want: "reissue tls/web; RequestChanged: changed: spec.dnsNames"},
		"ipAddresses":                 {now: []edit{func(s *spec) { s.IPAddresses = []string{"10.0.0.1"} }}, want: "reissue tls/web; RequestChanged: changed: spec.ipAddresses"},
		"ipAddresses, spelt":          {old: []edit{func(s *spec) { s.IPAddresses = []string{"::1", "::ffff:10.0.0.1"} }}, now: []edit{func(s *spec) { s.IPAddresses = []string{"10.0.0.1", "0::1"} }}, want: keep},
		"uris":                        {now: []edit{func(s *spec) { s.URIs = []string{"urn:a"} }}, want: "reissue tls/web; RequestChanged: changed: spec.uris"},
		"uris, as the reader spells":  {old: []edit{func(s *spec) { s.URIs = []string{"HTTP://a"} }}, now: []edit{func(s *spec) { s.URIs = []string{"http://a"} }}, want: keep},
		"uris, odd and unchanged":     {old: []edit{func(s *spec) { s.URIs = []string{"HTTP://a"} }}, want: keep},
		"uris, odd":                   {old: []edit{func(s *spec) { s.URIs = []string{"http://a"} }}, now: []edit{func(s *spec) { s.URIs = []string{"HTTP://a"} }}, want: "reissue tls/web; RequestChanged: changed: spec.uris"},
		"emailAddresses":              {now: []edit{func(s *spec) { s.EmailAddresses = []string{"a@b"} }}, want: "reissue tls/web; RequestChanged: changed: spec.emailAddresses"},
		"otherNames":                  {now: []edit{func(s *spec) { s.OtherNames = []cmapi.OtherName{{OID: "1.2.3", UTF8Value: "x"}} }}, want: "reissue tls/web; RequestChanged: changed: spec.otherNames"},
		"otherNames dropped":          {old: []edit{func(s *spec) { s.OtherNames = []cmapi.OtherName{{OID: "1.2.3", UTF8Value: "x"}} }}, now: []edit{func(s *spec) { s.OtherNames = nil }}, want: keep, warning: "Certificate tls/web: spec.otherNames: spec.otherNames changed, which reissues nothing: it takes effect with the next certificate"},
		"commonName":                  {now: []edit{func(s *spec) { s.CommonName = "x" }}, want: "reissue tls/web; RequestChanged: changed: spec.commonName"},
		"subject.serialNumber":        {now: []edit{subject(func(s *cmapi.X509Subject) { s.SerialNumber = "1" })}, want: "reissue tls/web; RequestChanged: changed: spec.subject.serialNumber"},
		"subject.organizations":       {now: []edit{subject(func(s *cmapi.X509Subject) { s.Organizations = []string{"A"} })}, want: "reissue tls/web; RequestChanged: changed: spec.subject.organizations"},
		"subject.organizations order": {old: []edit{subject(func(s *cmapi.X509Subject) { s.Organizations = []string{"A", "B"} })}, now: []edit{subject(func(s *cmapi.X509Subject) { s.Organizations = []string{"B", "A"} })}, want: keep},
		"subject.countries":           {now: []edit{subject(func(s *cmapi.X509Subject) { s.Countries = []string{"A"} })}, want: "reissue tls/web; RequestChanged: changed: spec.subject.countries"},
		"subject.localities":          {now: []edit{subject(func(s *cmapi.X509Subject) { s.Localities = []string{"A"} })}, want: "reissue tls/web; RequestChanged: changed: spec.subject.localities"},
		"subject.organizationalUnits": {now: []edit{subject(func(s *cmapi.X509Subject) { s.OrganizationalUnits = []string{"A"} })}, want: "reissue tls/web; RequestChanged: changed: spec.subject.organizationalUnits"},
		"subject.postalCodes":         {now: []edit{subject(func(s *cmapi.X509Subject) { s.PostalCodes = []string{"A"} })}, want: "reissue tls/web; RequestChanged: changed: spec.subject.postalCodes"},
		"subject.provinces":           {now: []edit{subject(func(s *cmapi.X509Subject) { s.Provinces = []string{"A"} })}, want: "reissue tls/web; RequestChanged: changed: spec.subject.provinces"},
		"subject.streetAddresses":     {now: []edit{subject(func(s *cmapi.X509Subject) { s.StreetAddresses = []string{"A"} })}, want: "reissue tls/web; RequestChanged: changed: spec.subject.streetAddresses"},
		"subject, empty":              {now: []edit{subject(func(*cmapi.X509Subject) {})}, want: keep},
		"literalSubject":              {old: []edit{literal("CN=a")}, now: []edit{literal("CN=b")}, want: "reissue tls/web; RequestChanged: changed: spec.literalSubject"},
		"literalSubject, same DER":    {old: []edit{literal("CN=a,O=b")}, now: []edit{literal("CN=a, O=b")}, want: keep},
		"literalSubject, RDN order":   {old: []edit{literal("CN=a,O=b")}, now: []edit{literal("O=b,CN=a")}, want: "reissue tls/web; RequestChanged: changed: spec.literalSubject"},
		"to literalSubject, same DER": {old: []edit{func(s *spec) { s.CommonName = "a" }}, now: []edit{literal("CN=a")}, want: keep},
		"from literalSubject":         {old: []edit{literal("CN=a")}, now: []edit{literal(""), func(s *spec) { s.CommonName = "a" }}, want: keep},
		"from literalSubject, other":  {old: []edit{literal("CN=a,O=b")}, now: []edit{literal(""), func(s *spec) { s.CommonName = "a" }}, want: "reissue tls/web; RequestChanged: changed: spec.subject.organizations"},
		"isCA":                        {now: []edit{isCA}, want: "reissue tls/web; RequestChanged: changed: spec.isCA"},
		"usages":                      {old: []edit{usages("server auth")}, now: []edit{usages("client auth")}, want: "reissue tls/web; RequestChanged: changed: spec.usages"},
		"usages, another order":       {old: []edit{usages("server auth", "client auth")}, now: []edit{usages("client auth", "server auth")}, want: keep},
		"usages, the default written": {now: []edit{usages("digital signature", "key encipherment")}, want: "reissue tls/web; RequestChanged: changed: spec.usages"},
		"duration":                    {old: []edit{lasts(day)}, now: []edit{lasts(2 * day)}, want: "reissue tls/web; RequestChanged: changed: spec.duration"},
		"duration set":                {now: []edit{lasts(day)}, want: keep, warning: "Certificate tls/web: spec.duration: spec.duration changed, which reissues nothing: it takes effect with the next certificate"},
		"duration set, the default":   {now: []edit{lasts(90 * day)}, want: keep},
		"duration unset":              {old: []edit{lasts(day)}, now: []edit{func(s *spec) { s.Duration = nil }}, want: keep, warning: "Certificate tls/web: spec.duration: spec.duration changed, which reissues nothing: it takes effect with the next certificate"},
		"signatureAlgorithm":          {now: []edit{func(s *spec) { s.SignatureAlgorithm = cmapi.SHA512WithRSA }}, want: keep},
		"encodeUsagesInRequest":       {now: []edit{func(s *spec) { s.EncodeUsagesInRequest = new(bool) }}, want: keep},
		"nameConstraints": {now: []edit{func(s *spec) {
			s.NameConstraints = &cmapi.NameConstraints{Permitted: &cmapi.NameConstraintItem{DNSDomains: []string{"a"}}}
		}}, want: keep, warning: "Certificate tls/web: spec.nameConstraints: spec.nameConstraints changed, which reissues nothing: it takes effect with the next certificate"},
		"nameConstraints, none": {now: []edit{func(s *spec) {
			s.NameConstraints = &cmapi.NameConstraints{Permitted: &cmapi.NameConstraintItem{}}
		}}, want: keep},
		"encoding": {now: []edit{func(s *spec) { s.PrivateKey = &cmapi.CertificatePrivateKey{Encoding: cmapi.PKCS8} }}, want: keep,
			warning: "Certificate tls/web: spec.privateKey.encoding: spec.privateKey.encoding changed, which reissues nothing: it takes effect with the next certificate"},
		"rotationPolicy": {now: []edit{never}, want: keep},

		// Section 4.3.
		"issuerRef respelt":     {now: []edit{ref("Issuer", "ca")}, want: "rewrite tls/web; SecretManagedMetadataMismatch: the issuer is spelt otherwise, and the annotations repeat it"},
		"issuerRef group spelt": {now: []edit{func(s *spec) { s.IssuerRef.Group = "cert-manager.io" }}, want: "rewrite tls/web; SecretManagedMetadataMismatch: the issuer is spelt otherwise, and the annotations repeat it"},
		"template": {now: []edit{func(s *spec) {
			s.SecretTemplate = &cmapi.CertificateSecretTemplate{Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"a": "b"}}
		}}, want: "rewrite tls/web; SecretTemplateMismatch: changed: spec.secretTemplate.labels, spec.secretTemplate.annotations"},
		"template removed": {old: []edit{func(s *spec) {
			s.SecretTemplate = &cmapi.CertificateSecretTemplate{Labels: map[string]string{"a": "b"}}
		}}, now: []edit{func(s *spec) { s.SecretTemplate = nil }}, want: "rewrite tls/web; SecretTemplateMismatch: changed: spec.secretTemplate.labels"},
		"template, empty": {now: []edit{func(s *spec) { s.SecretTemplate = &cmapi.CertificateSecretTemplate{} }}, want: keep},
		"formats": {now: []edit{func(s *spec) {
			s.AdditionalOutputFormats = []cmapi.CertificateAdditionalOutputFormat{{Type: "DER"}}
		}}, want: "rewrite tls/web; AdditionalOutputFormatsMismatch: changed: spec.additionalOutputFormats"},
		"keystore":     {now: []edit{jks(func(*cmapi.JKSKeystore) {})}, want: "rewrite tls/web; SecretMismatch: changed: spec.keystores.jks"},
		"keystore off": {old: []edit{jks(func(*cmapi.JKSKeystore) {})}, now: []edit{jks(func(k *cmapi.JKSKeystore) { k.Create = false })}, want: "rewrite tls/web; SecretMismatch: changed: spec.keystores.jks"},
		"keystore p12": {now: []edit{p12("")}, want: "rewrite tls/web; SecretMismatch: changed: spec.keystores.pkcs12"},
		"keystore p12 profile": {old: []edit{p12("")}, now: []edit{p12("Modern2023")}, want: "rewrite tls/web; SecretMismatch: changed: spec.keystores.pkcs12.profile",
			warning: "Certificate tls/web: spec.keystores.pkcs12.profile: spec.keystores.pkcs12.profile changed, which cert-manager does not notice: in a cluster, delete the Secret's keystore"},
		"keystore password": {old: []edit{jks(func(*cmapi.JKSKeystore) {})}, now: []edit{jks(func(k *cmapi.JKSKeystore) { *k.Password = "x" })}, want: keep},
		"keystore alias": {old: []edit{jks(func(*cmapi.JKSKeystore) {})}, now: []edit{jks(func(k *cmapi.JKSKeystore) { a := "x"; k.Alias = &a })}, want: "rewrite tls/web; SecretMismatch: changed: spec.keystores.jks.alias",
			warning: "Certificate tls/web: spec.keystores.jks.alias: spec.keystores.jks.alias changed, which cert-manager does not notice: in a cluster, delete the Secret's keystore"},
		"a reissue writes it, too": {now: []edit{usages("server auth"), func(s *spec) {
			s.SecretTemplate = &cmapi.CertificateSecretTemplate{Labels: map[string]string{"a": "b"}}
		}}, want: "reissue tls/web; RequestChanged: changed: spec.usages"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := certificate("tls/web", test.old...)
			c := certificate("tls/web", slices.Concat(test.old, test.now)...)
			is := actual(old)
			// The record goes to the disk and comes back.
			data, err := is.Applied.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(data), "secret-password") {
				t.Errorf("a password is in the record: %s", data)
			}
			if is.Applied, err = Decode(data); err != nil {
				t.Fatal(err)
			}
			if test.is != nil {
				test.is(is)
			}
			in := inputOf(c, selfIssuer("tls/other"), selfIssuer("ca"))
			p := mustMake(t, directory{"tls/web": is}.with(in))
			same(t, lines(p), []string{test.want})
			var want []string
			if test.warning != "" {
				want = []string{test.warning}
			}
			same(t, warnings(p), want)
		})
	}
}

// A rewrite is recorded beside what was issued, so that a later change is held
// against both.
func TestRewritten(t *testing.T) {
	t.Parallel()
	lasts := func(d time.Duration) func(*cmapi.CertificateSpec) {
		return func(s *cmapi.CertificateSpec) { s.Duration = &metav1.Duration{Duration: d} }
	}
	respelt := certificate("tls/web", ref("Issuer", "ca"))
	is := actual(certificate("tls/web", lasts(day)))
	is.Applied = is.Applied.Rewritten(respelt)
	for want, c := range map[string]*manifest.Certificate{
		"keep tls/web": respelt,
		"rewrite tls/web; SecretManagedMetadataMismatch: the issuer is spelt otherwise, and the annotations repeat it": certificate("tls/web"),
		"reissue tls/web; RequestChanged: changed: spec.duration":                                                      certificate("tls/web", ref("Issuer", "ca"), lasts(2*day)),
	} {
		same(t, lines(mustMake(t, directory{"tls/web": is}.with(inputOf(c)))), []string{want})
	}
}

func TestKeepKey(t *testing.T) {
	t.Parallel()
	due := func(a *Actual) { a.NotAfter = pkitest.Clock() }
	for name, test := range map[string]struct {
		c    *manifest.Certificate
		is   func(*Actual)
		want bool
	}{
		"always":     {c: certificate("tls/web"), is: due},
		"never":      {c: certificate("tls/web", never), is: due, want: true},
		"no key":     {c: certificate("tls/web", never), is: func(a *Actual) { a.HasKey = false }},
		"new secret": {c: certificate("tls/web", never, secretName("new")), is: due},
		"revoked":    {c: certificate("tls/web", never), is: func(a *Actual) { a.Revoked = true }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := mustMake(t, directory{"tls/web": actual(certificate("tls/web", never), test.is)}.with(inputOf(test.c)))
			if a := p.Actions[0]; a.Verb != Reissue || a.KeepKey != test.want {
				t.Errorf("got %s, KeepKey %t; want %t", a.Verb, a.KeepKey, test.want)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{``, `{`, `{}`, `null`, `{"certificate":{},"request":{}}`, `{"request":{},"written":{}}`} {
		if a, err := Decode([]byte(bad)); err == nil || a != nil {
			t.Errorf("%q gave %v and error %v", bad, a, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"certificate":{"secretName":"a"}}`, `{"request":{"request":"YQ=="}}`, `{"certificate":{},"written":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := Decode(data)
		if err != nil {
			return
		}
		once, err := a.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b, err := Decode(once)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := b.Encode(); err != nil || string(once) != string(twice) {
			t.Errorf("%s became %s, error %v", once, twice, err)
		}
	})
}
