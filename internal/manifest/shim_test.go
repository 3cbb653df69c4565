package manifest

import (
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// defaults are the usages that every Ingress gets.
var defaults = []cmapi.KeyUsage{"digital signature", "key encipherment"}

func ingress(annotations map[string]string, tls ...networkingv1.IngressTLS) *networkingv1.Ingress {
	in := &networkingv1.Ingress{}
	in.Annotations, in.Spec.TLS = annotations, tls
	return in
}

func with(extra ...string) map[string]string {
	m := map[string]string{"cert-manager.io/issuer": "ca"}
	for i := 0; i < len(extra); i += 2 {
		m[extra[i]] = extra[i+1]
	}
	return m
}

func tlsOf(secret string, hosts ...string) networkingv1.IngressTLS {
	return networkingv1.IngressTLS{SecretName: secret, Hosts: hosts}
}

func specsOf(certs []*Certificate) (all []cmapi.CertificateSpec) {
	for _, c := range certs {
		all = append(all, c.Spec)
	}
	return all
}

func issuerRef(kind, name string) cmmeta.IssuerReference {
	return cmmeta.IssuerReference{Name: name, Kind: kind, Group: "cert-manager.io"}
}

func TestFromIngress(t *testing.T) {
	t.Parallel()
	type cs = cmapi.CertificateSpec
	web := tlsOf("web-tls", "web.example.com")
	ca := issuerRef("Issuer", "ca")
	one := func(edit func(s *cs)) []cs {
		s := cs{SecretName: "web-tls", DNSNames: []string{"web.example.com"}, IssuerRef: ca, Usages: defaults}
		if edit != nil {
			edit(&s)
		}
		return []cs{s}
	}
	for _, c := range []struct {
		name string
		in   *networkingv1.Ingress
		want []cs
		said []string
	}{
		{"none of our business", ingress(map[string]string{"cert-manager.io/duration": "x"}, web), nil, nil},
		{"tls-acme", ingress(map[string]string{"kubernetes.io/tls-acme": "true"}, web), nil, []string{"~metadata.annotations[kubernetes.io/tls-acme]: default issuer"}},
		{"no tls-acme", ingress(map[string]string{"kubernetes.io/tls-acme": "false"}, web), nil, nil},
		{"no TLS", ingress(with("cert-manager.io/duration", "x")), nil, nil},
		{"issuer", ingress(with(), web), one(nil), nil},
		{"cluster issuer", ingress(map[string]string{"cert-manager.io/cluster-issuer": "ca"}, web), one(func(s *cs) { s.IssuerRef.Kind = "ClusterIssuer" }), nil},
		{"foreign issuer", ingress(with("cert-manager.io/issuer-kind", "AWSPCAIssuer", "cert-manager.io/issuer-group", "awspca.cert-manager.io"), web), one(func(s *cs) {
			s.IssuerRef.Kind, s.IssuerRef.Group = "AWSPCAIssuer", "awspca.cert-manager.io"
		}), nil},
		{"foreign issuer without group", ingress(with("cert-manager.io/issuer-kind", "AWSPCAIssuer"), web), nil, []string{"metadata.annotations[cert-manager.io/issuer-kind]: no issuers of kind"}},
		{"issuer without name", ingress(map[string]string{"cert-manager.io/issuer": ""}, web), nil, []string{"metadata.annotations[cert-manager.io/issuer]: empty"}},
		{"both issuers", ingress(with("cert-manager.io/cluster-issuer", "x", "cert-manager.io/issuer-kind", "y", "cert-manager.io/issuer-group", "z"), web), nil, []string{
			"metadata.annotations[cert-manager.io/issuer]: together", "metadata.annotations[cert-manager.io/issuer-kind]: together", "metadata.annotations[cert-manager.io/issuer-group]: together"}},
		{"entries", ingress(with(), tlsOf("a", "a.example.com", "10.0.0.1", "a.example.com"), tlsOf("b", "b.example.com"), tlsOf("c"), tlsOf("", "d.example.com")), []cs{
			{SecretName: "a", DNSNames: []string{"a.example.com"}, IPAddresses: []string{"10.0.0.1"}, IssuerRef: ca, Usages: defaults},
			{SecretName: "b", DNSNames: []string{"b.example.com"}, IssuerRef: ca, Usages: defaults},
		}, []string{"~spec.tls[2]: no hosts", "~spec.tls[3]: no secretName"}},
		{"a Secret twice", ingress(with(), web, tlsOf("b", "b.example.com"), tlsOf("web-tls", "x")), nil, []string{"spec.tls[2].secretName: spec.tls[0].secretName already"}},
		{"bad names", ingress(with(), tlsOf("Web", "web.example.com", "bücher.example", "a b")), nil, []string{
			"spec.tls[0].hosts[1]: not ASCII", "spec.tls[0].secretName: no name for a Secret", "~spec.tls[0].hosts[2]: not match"}},
		{"names", ingress(with("cert-manager.io/common-name", "web.example.com", "cert-manager.io/alt-names", "x.example.com, y", "cert-manager.io/ip-sans", "10.0.0.1",
			"cert-manager.io/email-sans", "a@example.com,b@example.com", "cert-manager.io/uri-sans", "spiffe://x/y"), web), one(func(s *cs) {
			s.CommonName, s.DNSNames, s.IPAddresses = "web.example.com", []string{"web.example.com", "x.example.com", " y"}, []string{"10.0.0.1"}
			s.EmailAddresses = []string{"a@example.com", "b@example.com"}
		}), []string{"~metadata.annotations[cert-manager.io/alt-names]: not match"}},
		{"empty names", ingress(with("cert-manager.io/alt-names", "", "cert-manager.io/ip-sans", "", "cert-manager.io/common-name", ""), web), one(nil), nil},
		{"faulty names", ingress(with("cert-manager.io/ip-sans", "10.0.0.1, 10.0.0.2", "cert-manager.io/email-sans", ""), web, tlsOf("b", "b")), nil, []string{
			"metadata.annotations[cert-manager.io/ip-sans]: no IP address", "metadata.annotations[cert-manager.io/email-sans]: no e-mail"}},
		{"subject", ingress(with("cert-manager.io/subject-organizations", `"Acme, Inc.",Shop`, "cert-manager.io/subject-organizationalunits", "a", "cert-manager.io/subject-countries", "AT",
			"cert-manager.io/subject-provinces", "b", "cert-manager.io/subject-localities", "c", "cert-manager.io/subject-postalcodes", "d",
			"cert-manager.io/subject-streetaddresses", "e", "cert-manager.io/subject-serialnumber", "17"), web), one(func(s *cs) {
			s.Subject = &cmapi.X509Subject{Organizations: []string{"Acme, Inc.", "Shop"}, OrganizationalUnits: []string{"a"}, Countries: []string{"AT"},
				Provinces: []string{"b"}, Localities: []string{"c"}, PostalCodes: []string{"d"}, StreetAddresses: []string{"e"}, SerialNumber: "17"}
		}), nil},
		{"faulty subject", ingress(with("cert-manager.io/subject-organizations", "a\nb", "cert-manager.io/subject-countries", `a"`, "cert-manager.io/subject-localities", ""), web, tlsOf("b", "b")), nil, []string{
			"metadata.annotations[cert-manager.io/subject-organizations]: 2 lines", "metadata.annotations[cert-manager.io/subject-countries]: no list", "metadata.annotations[cert-manager.io/subject-localities]: 0 lines"}},
		{"lifetime", ingress(with("cert-manager.io/duration", "2000h", "cert-manager.io/renew-before", "500h"), web), one(func(s *cs) { s.Duration, s.RenewBefore = d("2000h"), d("500h") }), nil},
		{"percentage", ingress(with("cert-manager.io/renew-before-percentage", "20"), web), one(func(s *cs) { p := int32(20); s.RenewBeforePercentage = &p }), nil},
		{"faulty lifetime", ingress(with("cert-manager.io/duration", "90d", "cert-manager.io/renew-before", "x", "cert-manager.io/renew-before-percentage", "20%"), web), nil, []string{
			`metadata.annotations[cert-manager.io/duration]: "90d" is no duration`, "metadata.annotations[cert-manager.io/renew-before]: no duration", "metadata.annotations[cert-manager.io/renew-before-percentage]: no number"}},
		{"short lifetime", ingress(with("cert-manager.io/duration", "1m", "cert-manager.io/renew-before", "1m"), web), nil, []string{
			"metadata.annotations[cert-manager.io/duration]: too short", "metadata.annotations[cert-manager.io/renew-before]: too late"}},
		{"usages", ingress(with("cert-manager.io/usages", "server auth, client auth"), web), one(func(s *cs) { s.Usages = []cmapi.KeyUsage{"server auth", "client auth"} }), nil},
		{"faulty usages", ingress(with("cert-manager.io/usages", "server auth,serverAuth,"), web), nil, []string{"metadata.annotations[cert-manager.io/usages]: \"serverAuth\"", "metadata.annotations[cert-manager.io/usages]: \"\""}},
		{"history", ingress(with("cert-manager.io/revision-history-limit", "3"), web), one(func(s *cs) { n := int32(3); s.RevisionHistoryLimit = &n }), nil},
		{"faulty history", ingress(with("cert-manager.io/revision-history-limit", "0"), web), nil, []string{"metadata.annotations[cert-manager.io/revision-history-limit]: 0 is too few"}},
		{"far history", ingress(with("cert-manager.io/revision-history-limit", "3000000000"), web), nil, []string{"metadata.annotations[cert-manager.io/revision-history-limit]: too large"}},
		{"key", ingress(with("cert-manager.io/private-key-algorithm", "ECDSA", "cert-manager.io/private-key-size", "384", "cert-manager.io/private-key-encoding", "PKCS8",
			"cert-manager.io/private-key-rotation-policy", "Always"), web), one(func(s *cs) {
			s.PrivateKey = &cmapi.CertificatePrivateKey{Algorithm: "ECDSA", Size: 384, Encoding: "PKCS8", RotationPolicy: "Always"}
		}), nil},
		{"faulty key", ingress(with("cert-manager.io/private-key-algorithm", "", "cert-manager.io/private-key-size", "0", "cert-manager.io/private-key-encoding", "DER",
			"cert-manager.io/private-key-rotation-policy", "never"), web), nil, []string{"metadata.annotations[cert-manager.io/private-key-algorithm]: not one of",
			"metadata.annotations[cert-manager.io/private-key-encoding]: not one of", "metadata.annotations[cert-manager.io/private-key-size]: 0 bits", "metadata.annotations[cert-manager.io/private-key-rotation-policy]: not one of"}},
		{"short key", ingress(with("cert-manager.io/private-key-size", "1024"), web), nil, []string{"metadata.annotations[cert-manager.io/private-key-size]: 1024 bits"}},
		{"template", ingress(with("cert-manager.io/secret-template", `{"labels":{"a":"b"},"annotations":{"c":"d"}}`), web), one(func(s *cs) {
			s.SecretTemplate = &cmapi.CertificateSecretTemplate{Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}}
		}), nil},
		{"empty template", ingress(with("cert-manager.io/secret-template", `{}`), web), one(nil), nil},
		{"faulty template", ingress(with("cert-manager.io/secret-template", `{"label":{}}`), web), nil, []string{`metadata.annotations[cert-manager.io/secret-template]: unknown field "label"`}},
		{"template with an injection", ingress(with("cert-manager.io/secret-template", `{"annotations":{"cert-manager.io/allow-direct-injection":"true"}}`), web), nil, []string{"metadata.annotations[cert-manager.io/secret-template]: cert-manager's own"}},
		{"template with an own label", ingress(with("cert-manager.io/secret-template", `{"labels":{"cert-manager.io/x":"true"}}`), web, tlsOf("b", "b")), nil, []string{"metadata.annotations[cert-manager.io/secret-template]: own"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := testObject("Ingress")
			certs := fromIngress(o, c.in)
			if diff := cmp.Diff(c.want, specsOf(certs)); diff != "" {
				t.Error(diff)
			}
			expect(t, o, c.said)
			for _, cert := range certs {
				want := o.Origin
				want.Name = cert.Spec.SecretName
				if diff := cmp.Diff(want, cert.Origin); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestFromGateway(t *testing.T) {
	t.Parallel()
	type cs = cmapi.CertificateSpec
	ptr := func(s string) *gatewayv1.Hostname { h := gatewayv1.Hostname(s); return &h }
	ref := func(names ...string) *gatewayv1.ListenerTLSConfig {
		var c gatewayv1.ListenerTLSConfig
		for _, n := range names {
			c.CertificateRefs = append(c.CertificateRefs, gatewayv1.SecretObjectReference{Name: gatewayv1.ObjectName(n)})
		}
		return &c
	}
	listener := func(name, host string, tls *gatewayv1.ListenerTLSConfig) gatewayv1.Listener {
		l := gatewayv1.Listener{Name: gatewayv1.SectionName(name), Protocol: gatewayv1.HTTPSProtocolType, TLS: tls}
		if host != "" {
			l.Hostname = ptr(host)
		}
		return l
	}
	edited := func(l gatewayv1.Listener, edit func(l *gatewayv1.Listener)) gatewayv1.Listener { edit(&l); return l }
	good := listener("a", "a.example.com", ref("web-tls"))
	ca := issuerRef("Issuer", "ca")
	one := []cs{{SecretName: "web-tls", DNSNames: []string{"a.example.com"}, IssuerRef: ca, Usages: defaults}}
	passthrough, odd, kind, group := gatewayv1.TLSModePassthrough, gatewayv1.TLSModeType("Odd"), gatewayv1.Kind("ConfigMap"), gatewayv1.Group("x.io")
	own, other := gatewayv1.Namespace("shop"), gatewayv1.Namespace("other")
	for _, c := range []struct {
		name        string
		annotations map[string]string
		listeners   []gatewayv1.Listener
		want        []cs
		said        []string
	}{
		{"none of our business", nil, []gatewayv1.Listener{good}, nil, nil},
		{"one", with(), []gatewayv1.Listener{good}, one, nil},
		{"shared", with(), []gatewayv1.Listener{good, listener("b", "b.example.com", ref("b", "web-tls")), listener("c", "a.example.com", ref("web-tls"))}, []cs{
			{SecretName: "web-tls", DNSNames: []string{"a.example.com", "b.example.com"}, IssuerRef: ca, Usages: defaults},
			{SecretName: "b", DNSNames: []string{"b.example.com"}, IssuerRef: ca, Usages: defaults}}, nil},
		{"ignored", with("cert-manager.io/ignore-tls-listeners", "x, b"), []gatewayv1.Listener{good, listener("b", "b.example.com", ref("b"))}, one, nil},
		{"HTTP", with(), []gatewayv1.Listener{good, edited(listener("b", "", nil), func(l *gatewayv1.Listener) { l.Protocol = gatewayv1.HTTPProtocolType })}, one, nil},
		{"TLS", with(), []gatewayv1.Listener{edited(good, func(l *gatewayv1.Listener) { l.Protocol = gatewayv1.TLSProtocolType })}, one, nil},
		{"passthrough", with(), []gatewayv1.Listener{good, edited(listener("b", "", ref()), func(l *gatewayv1.Listener) { l.TLS.Mode = &passthrough })}, one, nil},
		{"own namespace", with(), []gatewayv1.Listener{edited(listener("a", "a.example.com", ref("web-tls")), func(l *gatewayv1.Listener) { l.TLS.CertificateRefs[0].Namespace = &own })}, one, nil},
		{"unfit", with(), []gatewayv1.Listener{
			listener("a", "", ref("a")),
			listener("b", "b", nil),
			listener("c", "c", ref()),
			edited(listener("d", "d", ref("d")), func(l *gatewayv1.Listener) { l.TLS.Mode = &odd }),
			edited(listener("e", "e", ref("e")), func(l *gatewayv1.Listener) { l.TLS.CertificateRefs[0].Kind = &kind }),
			edited(listener("f", "f", ref("f")), func(l *gatewayv1.Listener) { l.TLS.CertificateRefs[0].Group = &group }),
			edited(listener("g", "g", ref("g")), func(l *gatewayv1.Listener) { l.TLS.CertificateRefs[0].Namespace = &other }),
		}, nil, []string{"~spec.listeners[0]: no hostname", "~spec.listeners[1]: no Secret", "~spec.listeners[2]: no Secret", "~spec.listeners[3]: mode \"Odd\"",
			"~spec.listeners[4]: something else", "~spec.listeners[5]: something else", "~spec.listeners[6]: another namespace, other"}},
		{"faulty", with("cert-manager.io/duration", "1d"), []gatewayv1.Listener{good}, nil, []string{"metadata.annotations[cert-manager.io/duration]: no duration"}},
		{"faulty names", with(), []gatewayv1.Listener{listener("a", "é.com", ref("A"))}, nil, []string{"spec.listeners[0].hostname: not ASCII", "spec.listeners[0].tls.certificateRefs[0].name: no name"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := testObject("Gateway")
			g := &gatewayv1.Gateway{}
			g.Annotations, g.Spec.Listeners = c.annotations, c.listeners
			certs := fromGateway(o, g)
			if diff := cmp.Diff(c.want, specsOf(certs)); diff != "" {
				t.Error(diff)
			}
			expect(t, o, c.said)
		})
	}
}
