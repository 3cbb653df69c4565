package export

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
)

// oddFolder has all in its name that a configuration may trip over: spaces, quotes,
// the beginning of a comment, backslashes as in Windows' paths, and it is long.
const oddFolder = `/srv/it's #1: the "new" \disk, which \u0041 has ü in its name, and goes on for more than a line/`

// A fileExport is what a consumer gets as files.
type fileExport struct {
	folder string
	files  map[string]File // by name
	config string
}

// exportFiles exports a bundle as PEM files for a consumer, into a folder.
func exportFiles(t *testing.T, consumer, folder string, b *pki.Bundle) fileExport {
	t.Helper()
	c, err := FindConsumer(consumer)
	if err != nil {
		t.Fatal(err)
	}
	fit := Fit{Format: "pem", Name: leafName(b), Bundle: b}
	shape, err := c.Fit(&fit)
	if err != nil {
		t.Fatal(err)
	}
	if shape.Layout.Has(CRLs) {
		shape.CRLs = []byte("a CRL")
	}
	made, err := PEM{}.WithShape(shape).Export(b)
	if err != nil {
		t.Fatal(err)
	}
	p := Placement{Fit: fit, CRL: len(shape.CRLs) > 0}
	e := fileExport{folder: folder, files: map[string]File{}}
	for _, f := range made {
		e.files[f.Name] = f
		p.Files = append(p.Files, folder+f.Name)
	}
	e.config = c.Config(&p)
	return e
}

// at returns the file at a path that is in the configuration.
func (e fileExport) at(t *testing.T, where any) []byte {
	t.Helper()
	name, found := strings.CutPrefix(fmt.Sprint(where), e.folder)
	f, ok := e.files[name]
	if !found || !ok {
		t.Errorf("%v is no file of those that were written: %v", where, slices.Sorted(maps.Keys(e.files)))
	}
	return f.Data
}

// holds fails the test unless certificate and key are a pair whose chain ends in one
// of the CAs, for a usage.
func holds(t *testing.T, cert, key, ca []byte, usage x509.ExtKeyUsage) {
	t.Helper()
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Error(err)
		return
	}
	_, err = pair.Leaf.Verify(x509.VerifyOptions{
		Roots: pool(certificates(t, ca)...), Intermediates: pool(certificates(t, cert)[1:]...),
		KeyUsages: []x509.ExtKeyUsage{usage}, CurrentTime: pkitest.Clock(),
	})
	if err != nil {
		t.Error(err)
	}
}

// fields describes the messages of a configuration: what is in each, and of which
// type. A type is string, bool, another message, words to choose from, separated by
// "|", or with "[]" in front a list of one of these.
type fields map[string]map[string]string

// misfit says what is in a value that its type does not have; empty: nothing.
func (d fields) misfit(kind string, v any, where string) string {
	if item, ok := strings.CutPrefix(kind, "[]"); ok {
		list, ok := v.([]any)
		if !ok {
			return where + " is no list"
		}
		for i, v := range list {
			if problem := d.misfit(item, v, fmt.Sprintf("%s[%d]", where, i)); problem != "" {
				return problem
			}
		}
		return ""
	}
	ok := false
	switch message := d[kind]; {
	case message != nil:
		m, isMap := v.(map[string]any)
		for field, v := range m {
			if message[field] == "" {
				return fmt.Sprintf("%s has no field %s", kind, field)
			}
			if problem := d.misfit(message[field], v, path.Join(where, field)); problem != "" {
				return problem
			}
		}
		ok = isMap
	case kind == "bool":
		_, ok = v.(bool)
	case kind == "string":
		var s string
		s, ok = v.(string)
		ok = ok && s != ""
	case strings.Contains(kind, "|"):
		s, _ := v.(string)
		ok = slices.Contains(strings.Split(kind, "|"), s)
	}
	if !ok {
		return fmt.Sprintf("%s is not of type %s: %v", where, kind, v)
	}
	return ""
}

// envoyAPI is Envoy's API, as far as it is about files: gh/envoyproxy/envoy
// api/envoy/extensions/transport_sockets/tls/v3, tls.proto and common.proto;
// config/core/v3/base.proto; type/matcher/v3/string.proto. What needs an xDS server
// or an extension is not in it.
var envoyAPI = fields{
	"UpstreamTlsContext": {
		"@type": "string", "common_tls_context": "CommonTlsContext", "sni": "string",
		"auto_host_sni": "bool", "auto_sni_san_validation": "bool", "allow_renegotiation": "bool",
	},
	"DownstreamTlsContext": {
		"@type": "string", "common_tls_context": "CommonTlsContext", "require_client_certificate": "bool",
		"disable_stateless_session_resumption": "bool", "disable_stateful_session_resumption": "bool",
		"ocsp_staple_policy":              "LENIENT_STAPLING|STRICT_STAPLING|MUST_STAPLE",
		"full_scan_certs_on_sni_mismatch": "bool", "prefer_client_ciphers": "bool",
	},
	"CommonTlsContext": {
		"tls_params": "TlsParameters", "tls_certificates": "[]TlsCertificate",
		"validation_context": "CertificateValidationContext", "alpn_protocols": "[]string",
	},
	"TlsParameters": {
		"tls_minimum_protocol_version": "TLS_AUTO|TLSv1_0|TLSv1_1|TLSv1_2|TLSv1_3",
		"tls_maximum_protocol_version": "TLS_AUTO|TLSv1_0|TLSv1_1|TLSv1_2|TLSv1_3",
		"cipher_suites":                "[]string", "ecdh_curves": "[]string", "signature_algorithms": "[]string",
	},
	"TlsCertificate": {
		"certificate_chain": "DataSource", "private_key": "DataSource", "pkcs12": "DataSource",
		"watched_directory": "WatchedDirectory", "password": "DataSource", "ocsp_staple": "DataSource",
	},
	"CertificateValidationContext": {
		"trusted_ca": "DataSource", "watched_directory": "WatchedDirectory", "crl": "DataSource",
		"verify_certificate_spki": "[]string", "verify_certificate_hash": "[]string",
		"match_typed_subject_alt_names": "[]SubjectAltNameMatcher", "allow_expired_certificate": "bool",
		"trust_chain_verification": "VERIFY_TRUST_CHAIN|ACCEPT_UNTRUSTED", "only_verify_leaf_cert_crl": "bool",
	},
	"SubjectAltNameMatcher": {"san_type": "EMAIL|DNS|URI|IP_ADDRESS", "matcher": "StringMatcher"},
	"StringMatcher":         {"exact": "string", "prefix": "string", "suffix": "string", "contains": "string", "ignore_case": "bool"},
	"DataSource":            {"filename": "string", "inline_bytes": "string", "inline_string": "string", "environment_variable": "string"},
	"WatchedDirectory":      {"path": "string"},
}

// yamlLines reads YAML in which each line has a field of its own.
func yamlLines(t *testing.T, text string) (doc any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), &doc); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for line := range strings.Lines(text) {
		line = strings.Trim(line, " -\n")
		if field, _, found := strings.Cut(line, ":"); line != "" && line[0] != '#' && (!found || strings.ContainsAny(field, " ")) {
			t.Errorf("a line that yaml-cpp does not take: %s", line)
		}
	}
	return doc
}

// part goes down into a message.
func part(v any, names ...string) any {
	for _, n := range names {
		m, _ := v.(map[string]any)
		if list, ok := m[n].([]any); ok && len(list) == 1 {
			v = list[0]
			continue
		}
		v = m[n]
	}
	return v
}

func TestEnvoyBySchema(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		bundle  consumerBundle
		context string
		usage   x509.ExtKeyUsage
	}{
		{aServer, "DownstreamTlsContext", x509.ExtKeyUsageServerAuth},
		{aPeer, "DownstreamTlsContext", x509.ExtKeyUsageServerAuth},
		{aClient, "UpstreamTlsContext", x509.ExtKeyUsageClientAuth},
		{aRoot, "", 0},
	} {
		e := exportFiles(t, "envoy", oddFolder, tt.bundle(t))
		doc := yamlLines(t, e.config)
		common, kind := doc, "CommonTlsContext"
		if tt.context != "" {
			if all, _ := doc.(map[string]any); len(all) != 1 {
				t.Errorf("more than a transport socket\n%s", e.config)
			}
			const prefix = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
			socket := part(doc, "transport_socket")
			config := part(socket, "typed_config")
			if part(socket, "name") != "envoy.transport_sockets.tls" || part(config, "@type") != prefix+tt.context {
				t.Errorf("no transport socket with a %s\n%s", tt.context, e.config)
			}
			common, doc, kind = part(config, "common_tls_context"), config, tt.context
		}
		if problem := envoyAPI.misfit(kind, doc, ""); problem != "" {
			t.Errorf("%s\n%s", problem, e.config)
		}
		validation := part(common, "validation_context")
		ca := e.at(t, part(validation, "trusted_ca", "filename"))
		if kind == "CommonTlsContext" {
			if c := certificates(t, ca); c[0].Subject.CommonName != "Test root CA" {
				t.Errorf("trusted is %s", c[0].Subject)
			}
			continue
		}
		cert := part(common, "tls_certificates")
		holds(t, e.at(t, part(cert, "certificate_chain", "filename")), e.at(t, part(cert, "private_key", "filename")), ca, tt.usage)
		e.at(t, part(validation, "crl", "filename"))
		// A server is not known by its CA alone, nor does a client come without a
		// certificate.
		if names := part(validation, "match_typed_subject_alt_names"); tt.usage == x509.ExtKeyUsageClientAuth &&
			(part(names, "san_type") != "DNS" || part(names, "matcher", "exact") != host || part(doc, "sni") != host) {
			t.Errorf("any server of the CA would do\n%s", e.config)
		}
		if tt.usage == x509.ExtKeyUsageServerAuth && part(doc, "require_client_certificate") != true {
			t.Errorf("a client needs no certificate\n%s", e.config)
		}
	}
	for _, text := range []string{
		`{common_tls_context: {validation_context: {trustedCA: {filename: x}}}}`, `{require_client_certificate: "true"}`,
		`{common_tls_context: {tls_certificates: {certificate_chain: {filename: x}}}}`, `{sni: localhost}`,
		`{common_tls_context: {validation_context: {match_typed_subject_alt_names: [{san_type: dns}]}}}`,
		`{common_tls_context: {validation_context: {crl: {filename: 1}}}}`, `[]`,
	} {
		var doc any
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		if envoyAPI.misfit("DownstreamTlsContext", doc, "") == "" {
			t.Errorf("the schema has %s", text)
		}
	}
}
