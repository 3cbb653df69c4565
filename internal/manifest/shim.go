package manifest

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// A shim makes the Certificates that the annotations of an Ingress or a Gateway
// ask for.
type shim struct {
	o           *object
	annotations map[string]string
	issuer      cmmeta.IssuerReference
	base        *cmapi.CertificateSpec // what the annotations say for every Secret; read when the first comes
	bad         bool                   // the annotations are faulty
	made        []*Certificate
}

// A wanted is one Secret that is to be filled, and the field that names it.
type wanted struct {
	secret, path string
	hosts        []host
}

// A host is a name and the field it was read from.
type host struct{ name, path string }

func annotation(key string) string { return "metadata.annotations[" + key + "]" }

// newShim returns nil if the object is none of cert-manager's business, or
// cannot be.
func newShim(o *object, annotations map[string]string) *shim {
	issuer, isIssuer := annotations[cmapi.IngressIssuerNameAnnotationKey]
	cluster, isCluster := annotations[cmapi.IngressClusterIssuerNameAnnotationKey]
	if !isIssuer && !isCluster {
		return nil
	}
	s := &shim{o: o, annotations: annotations}
	s.issuer = cmmeta.IssuerReference{Name: issuer, Kind: cmapi.IssuerKind, Group: certManager}
	key := cmapi.IngressIssuerNameAnnotationKey
	if isCluster {
		s.issuer.Name, s.issuer.Kind = cluster, cmapi.ClusterIssuerKind
		key = cmapi.IngressClusterIssuerNameAnnotationKey
	}
	good := true
	kind, isKind := annotations[cmapi.IssuerKindAnnotationKey]
	group, isGroup := annotations[cmapi.IssuerGroupAnnotationKey]
	for _, x := range []struct {
		key   string
		there bool
	}{
		{cmapi.IngressIssuerNameAnnotationKey, isIssuer},
		{cmapi.IssuerKindAnnotationKey, isKind},
		{cmapi.IssuerGroupAnnotationKey, isGroup},
	} {
		if isCluster && x.there {
			o.problem(annotation(x.key), "leave one of them out", "cannot be set together with %s", key)
			good = false
		}
	}
	if s.issuer.Name == "" {
		o.problem(annotation(key), "", "is empty; it names the issuer")
		good = false
	}
	if !good {
		return nil
	}
	if isKind {
		s.issuer.Kind = kind
	}
	if isGroup {
		s.issuer.Group = group
	}
	return s
}

// add makes the Certificate of one Secret.
func (s *shim) add(w wanted) {
	if s.base == nil {
		s.base = &cmapi.CertificateSpec{IssuerRef: s.issuer, Usages: cmapi.DefaultKeyUsages()}
		before := len(s.o.problems)
		s.translate(s.base)
		s.bad = len(s.o.problems) > before
	}
	if s.bad {
		return
	}
	c := &Certificate{Origin: s.o.Origin, Spec: *s.base}
	c.Name = w.secret
	c.Spec.SecretName = w.secret
	p := places{"spec.secretName": w.path}
	var dns, ips []string
	seen := make(map[string]bool)
	for _, h := range w.hosts {
		if seen[h.name] {
			continue
		}
		seen[h.name] = true
		if net.ParseIP(h.name) != nil {
			p[fmt.Sprintf("spec.ipAddresses[%d]", len(ips))] = h.path
			ips = append(ips, h.name)
		} else {
			p[fmt.Sprintf("spec.dnsNames[%d]", len(dns))] = h.path
			dns = append(dns, h.name)
		}
	}
	c.Spec.DNSNames = append(dns, s.base.DNSNames...)
	c.Spec.IPAddresses = append(ips, s.base.IPAddresses...)
	s.check(c, p)
	s.made = append(s.made, c)
}

// certificates returns what was made, or nothing if anything is wrong with the
// object: cert-manager takes all of it or none.
func (s *shim) certificates() []*Certificate {
	if len(s.o.problems) > 0 {
		return nil
	}
	return s.made
}

// check is checkCertificate with its paths led back to where things were
// written.
func (s *shim) check(c *Certificate, p places) {
	sub := &object{Origin: s.o.Origin, line: func(path string) int { return s.o.line(p.of(path)) }}
	checkCertificate(sub, c)
	for _, x := range sub.problems {
		x.Path = p.of(x.Path)
		if !slices.Contains(s.o.problems, x) {
			s.o.problems = append(s.o.problems, x)
		}
	}
	for _, x := range sub.warnings {
		x.Path = p.of(x.Path)
		if !slices.Contains(s.o.warnings, x) {
			s.o.warnings = append(s.o.warnings, x)
		}
	}
}

// places says where in an Ingress or a Gateway a Certificate's field was read.
type places map[string]string

// annotated are the annotations that fields of a Certificate are read from, the
// more exact ones first.
var annotated = []struct{ field, key string }{
	{"spec.commonName", cmapi.CommonNameAnnotationKey},
	{"spec.dnsNames", cmapi.AltNamesAnnotationKey},
	{"spec.ipAddresses", cmapi.IPSANAnnotationKey},
	{"spec.emailAddresses", cmapi.EmailsAnnotationKey},
	{"spec.duration", cmapi.DurationAnnotationKey},
	{"spec.renewBeforePercentage", cmapi.RenewBeforePercentageAnnotationKey},
	{"spec.renewBefore", cmapi.RenewBeforeAnnotationKey},
	{"spec.usages", cmapi.UsagesAnnotationKey},
	{"spec.revisionHistoryLimit", cmapi.RevisionHistoryLimitAnnotationKey},
	{"spec.privateKey.algorithm", cmapi.PrivateKeyAlgorithmAnnotationKey},
	{"spec.privateKey.encoding", cmapi.PrivateKeyEncodingAnnotationKey},
	{"spec.privateKey.size", cmapi.PrivateKeySizeAnnotationKey},
	{"spec.privateKey.rotationPolicy", cmapi.PrivateKeyRotationPolicyAnnotationKey},
	{"spec.issuerRef.kind", cmapi.IssuerKindAnnotationKey},
	{"spec.issuerRef.group", cmapi.IssuerGroupAnnotationKey},
	{"spec.secretTemplate", cmapi.IngressSecretTemplate},
}

func (p places) of(path string) string {
	if at, ok := p[path]; ok {
		return at
	}
	for _, a := range annotated {
		if strings.HasPrefix(path, a.field) {
			return annotation(a.key)
		}
	}
	return path
}

// translate reads the annotations into spec. A bad value is a problem.
func (s *shim) translate(spec *cmapi.CertificateSpec) {
	s.text(cmapi.CommonNameAnnotationKey, func(v string) { spec.CommonName = v })
	s.text(cmapi.AltNamesAnnotationKey, func(v string) {
		if v != "" {
			spec.DNSNames = append(spec.DNSNames, strings.Split(v, ",")...)
		}
	})
	s.text(cmapi.IPSANAnnotationKey, func(v string) {
		if v != "" {
			spec.IPAddresses = append(spec.IPAddresses, strings.Split(v, ",")...)
		}
	})
	s.text(cmapi.EmailsAnnotationKey, func(v string) { spec.EmailAddresses = strings.Split(v, ",") })
	s.subject(spec)
	s.time(cmapi.DurationAnnotationKey, &spec.Duration)
	s.time(cmapi.RenewBeforeAnnotationKey, &spec.RenewBefore)
	s.number(cmapi.RenewBeforePercentageAnnotationKey, "write a percentage, as in 33", 32, func(n int) {
		p := int32(n)
		spec.RenewBeforePercentage = &p
	})
	s.text(cmapi.UsagesAnnotationKey, func(v string) {
		spec.Usages = nil
		for word := range strings.SplitSeq(v, ",") {
			spec.Usages = append(spec.Usages, cmapi.KeyUsage(strings.Trim(word, " ")))
			if _, _, err := profiles.ParseUsage(strings.Trim(word, " ")); err != nil {
				s.fault(cmapi.UsagesAnnotationKey, usageHint(word), "unknown usage %q", word)
			}
		}
	})
	s.number(cmapi.RevisionHistoryLimitAnnotationKey, "write 1 or more", 32, func(n int) {
		if n < 1 {
			s.fault(cmapi.RevisionHistoryLimitAnnotationKey, "write 1 or more", "%d is too few", n)
		}
		limit := int32(n)
		spec.RevisionHistoryLimit = &limit
	})
	s.key(spec)
	s.template(spec)
}

func (s *shim) subject(spec *cmapi.CertificateSpec) {
	var x cmapi.X509Subject
	there := false
	for _, f := range []struct {
		key   string
		field *[]string
	}{
		{cmapi.SubjectOrganizationsAnnotationKey, &x.Organizations},
		{cmapi.SubjectOrganizationalUnitsAnnotationKey, &x.OrganizationalUnits},
		{cmapi.SubjectCountriesAnnotationKey, &x.Countries},
		{cmapi.SubjectProvincesAnnotationKey, &x.Provinces},
		{cmapi.SubjectLocalitiesAnnotationKey, &x.Localities},
		{cmapi.SubjectPostalCodesAnnotationKey, &x.PostalCodes},
		{cmapi.SubjectStreetAddressesAnnotationKey, &x.StreetAddresses},
	} {
		s.text(f.key, func(v string) {
			records, err := csv.NewReader(strings.NewReader(v)).ReadAll()
			if err == nil && len(records) != 1 {
				err = fmt.Errorf("it has %d lines, not one", len(records))
			}
			if err != nil {
				s.fault(f.key, `write values with commas between them, and "quotes" around one that has a comma itself`, "is no list of values: %v", err)
				return
			}
			*f.field, there = records[0], true
		})
	}
	s.text(cmapi.SubjectSerialNumberAnnotationKey, func(v string) {
		x.SerialNumber = v
		there = there || v != ""
	})
	if there {
		spec.Subject = &x
	}
}

func (s *shim) key(spec *cmapi.CertificateSpec) {
	var k cmapi.CertificatePrivateKey
	there := false
	// An empty word is none of those there are: what is not wanted is left out.
	s.text(cmapi.PrivateKeyAlgorithmAnnotationKey, func(v string) {
		k.Algorithm, there = cmapi.PrivateKeyAlgorithm(v), true
		oneOf(s.o, annotation(cmapi.PrivateKeyAlgorithmAnnotationKey), k.Algorithm, keyAlgorithms...)
	})
	s.text(cmapi.PrivateKeyEncodingAnnotationKey, func(v string) {
		k.Encoding, there = cmapi.PrivateKeyEncoding(v), true
		oneOf(s.o, annotation(cmapi.PrivateKeyEncodingAnnotationKey), k.Encoding, cmapi.PKCS1, cmapi.PKCS8)
	})
	s.number(cmapi.PrivateKeySizeAnnotationKey, "write a number of bits, as in 2048", 0, func(n int) {
		k.Size, there = n, true
		if n == 0 && k.Algorithm != cmapi.Ed25519KeyAlgorithm {
			s.fault(cmapi.PrivateKeySizeAnnotationKey, "leave it out for the default", "no key has 0 bits")
		}
	})
	s.text(cmapi.PrivateKeyRotationPolicyAnnotationKey, func(v string) {
		k.RotationPolicy, there = cmapi.PrivateKeyRotationPolicy(v), true
		oneOf(s.o, annotation(cmapi.PrivateKeyRotationPolicyAnnotationKey), k.RotationPolicy, cmapi.RotationPolicyAlways, cmapi.RotationPolicyNever)
	})
	if there {
		spec.PrivateKey = &k
	}
}

func (s *shim) template(spec *cmapi.CertificateSpec) {
	s.text(cmapi.IngressSecretTemplate, func(v string) {
		const hint = `write JSON, as in {"labels":{"app":"web"}}`
		d := json.NewDecoder(strings.NewReader(v))
		d.DisallowUnknownFields()
		var t cmapi.CertificateSecretTemplate
		if err := d.Decode(&t); err != nil {
			s.fault(cmapi.IngressSecretTemplate, hint, "is no secret template: %v", err)
			return
		}
		if _, ok := t.Annotations[cmapi.AllowsInjectionFromSecretAnnotation]; ok {
			s.fault(cmapi.IngressSecretTemplate, "leave it out", "annotations under %s/ are cert-manager's own", certManager)
		}
		if len(t.Annotations)+len(t.Labels) > 0 {
			spec.SecretTemplate = &t
		}
	})
}

func (s *shim) fault(key, hint, format string, args ...any) {
	s.o.problem(annotation(key), hint, format, args...)
}

// text hands over an annotation's value, if it is there.
func (s *shim) text(key string, set func(v string)) {
	if v, ok := s.annotations[key]; ok {
		set(v)
	}
}

func (s *shim) time(key string, field **metav1.Duration) {
	s.text(key, func(v string) {
		d, err := time.ParseDuration(v)
		if err != nil {
			s.fault(key, durationHint(v), "%q is no duration", v)
			return
		}
		*field = &metav1.Duration{Duration: d}
	})
}

func (s *shim) number(key, hint string, bits int, set func(n int)) {
	s.text(key, func(v string) {
		n, err := strconv.ParseInt(v, 10, bits)
		if errors.Is(err, strconv.ErrRange) {
			s.fault(key, hint, "%s is too large", v)
		} else if err != nil {
			s.fault(key, hint, "%q is no number", v)
		} else {
			set(int(n))
		}
	})
}
