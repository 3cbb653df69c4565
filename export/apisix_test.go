package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

// apiServer is a server's bundle with names of several kinds.
func apiServer(t testing.TB) *pki.Bundle {
	t.Helper()
	return pkitest.Issue(t, pkitest.Issuing(t), profiles.Server(), pki.Request{
		Subject: pki.Subject{CommonName: "api.example.com"}, SANs: pkitest.SANs(t, "api.example.com", "*.api.example.com", "10.0.0.7"),
	})
}

func TestAPISIX(t *testing.T) {
	t.Parallel()
	server, person := apiServer(t), client(t, pkitest.Issuing(t), profiles.ECP256)
	peer := pkitest.Issue(t, pkitest.Issuing(t), profiles.Peer(), pki.Request{SANs: pkitest.SANs(t, "etcd")})
	own := func(b *pki.Bundle) map[string]any {
		key, err := b.KeyPEM()
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{"cert": string(b.ChainPEM()), "key": string(key)}
	}
	with := func(m map[string]any, more map[string]any) map[string]any {
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	snis := []any{"api.example.com", "*.api.example.com"}
	upstream := own(person)
	for name, tt := range map[string]struct {
		format APISIX
		bundle *pki.Bundle
		want   map[string]any
	}{
		"server":            {APISIX{}, server, with(own(server), map[string]any{"type": "server", "snis": snis})},
		"client":            {APISIX{}, person, with(own(person), map[string]any{"type": "client"})},
		"both":              {APISIX{}, peer, with(own(peer), map[string]any{"type": "server", "snis": []any{"etcd"}})},
		"both, as a client": {APISIX{As: Client}, peer, with(own(peer), map[string]any{"type": "client"})},
		"mTLS": {APISIX{MTLS: true, SkipMTLS: []string{`^/healthz$`, `/a<b&c`}}, server, with(own(server), map[string]any{"type": "server", "snis": snis,
			"client": map[string]any{"ca": string(server.RootsPEM()), "depth": 2.0, "skip_mtls_uri_regex": []any{`^/healthz$`, `/a<b&c`}}})},
		"depth": {APISIX{MTLS: true, Depth: 5}, server, with(own(server), map[string]any{"type": "server", "snis": snis,
			"client": map[string]any{"ca": string(server.RootsPEM()), "depth": 5.0}})},
		"upstream":       {APISIX{Upstream: true}, person, map[string]any{"tls": map[string]any{"client_cert": upstream["cert"], "client_key": upstream["key"]}}},
		"upstream by id": {APISIX{Upstream: true, ClientCertID: "my_client.1"}, &pki.Bundle{Chain: person.Chain}, map[string]any{"tls": map[string]any{"client_cert_id": "my_client.1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := file(t, tt.format, tt.bundle)
			var got map[string]any
			if err := json.Unmarshal(f.Data, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if private := strings.Contains(string(f.Data), "PRIVATE KEY"); private != f.Private {
				t.Errorf("private is %v", f.Private)
			}
		})
	}
	if f := file(t, APISIX{}, server); f.Name != "api.example.com.json" {
		t.Errorf("the file is called %s", f.Name)
	}
}

// What is written is what APISIX accepts, for every type of key.
func TestAPISIXBySchema(t *testing.T) {
	t.Parallel()
	ssl, upstream := schema(t, "ssl.json"), schema(t, "upstream.json")
	for _, k := range profiles.KeyTypes() {
		server := pkitest.Issue(t, pkitest.Issuing(t), profiles.Peer(), pki.Request{Key: k, SANs: pkitest.SANs(t, "api.example.com", "*.example.com")})
		for _, tt := range []struct {
			schema map[string]any
			format APISIX
		}{
			{ssl, APISIX{}},
			{ssl, APISIX{MTLS: true, SkipMTLS: []string{"a", "b"}}},
			{ssl, APISIX{As: Client}},
			{upstream, APISIX{Upstream: true}},
			{upstream, APISIX{Upstream: true, ClientCertID: "1"}},
		} {
			var doc any
			if err := json.Unmarshal(file(t, tt.format, server).Data, &doc); err != nil {
				t.Fatal(err)
			}
			if err := accepts(tt.schema, doc, ""); err != nil {
				t.Errorf("%s, %+v: %v", k, tt.format, err)
			}
		}
	}
	// The schema says no, too.
	for _, doc := range []string{
		`{}`, `[]`, `{"type": "server", "cert": 1}`, `{"x": 1}`,
		fmt.Sprintf(`{"type": "server", "cert": %q, "key": %[1]q}`, strings.Repeat("x", 128)),
		fmt.Sprintf(`{"type": "server", "snis": ["10.0.0.1:1"], "cert": %q, "key": %[1]q}`, strings.Repeat("x", 128)),
		fmt.Sprintf(`{"type": "client", "cert": %q, "key": %q}`, strings.Repeat("x", 128), strings.Repeat("x", 63)),
	} {
		var v any
		if err := json.Unmarshal([]byte(doc), &v); err != nil {
			t.Fatal(err)
		}
		if accepts(ssl, v, "") == nil {
			t.Errorf("the schema accepts %s", doc)
		}
	}
}

func schema(t *testing.T, name string) (s map[string]any) {
	t.Helper()
	if err := json.Unmarshal(readFile(t, "apisix", name), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// accepts holds a JSON value to as much of JSON Schema as the schemas use.
func accepts(s map[string]any, v any, at string) error {
	is := map[string]bool{}
	number := func(key string, def float64) float64 {
		if n, ok := s[key].(float64); ok {
			return n
		}
		return def
	}
	within := func(n int, least, most string) error {
		if float64(n) < number(least, 0) || float64(n) > number(most, 1<<30) {
			return fmt.Errorf("%s: %d is not within %v and %v", at, n, s[least], s[most])
		}
		return nil
	}
	var errs []error
	switch v := v.(type) {
	case string:
		is["string"] = true
		errs = append(errs, within(len(v), "minLength", "maxLength"))
		if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(v) {
			errs = append(errs, fmt.Errorf("%s: %q does not match %s", at, v, p))
		}
	case float64:
		is["integer"] = v == float64(int(v))
		errs = append(errs, within(int(v), "minimum", "maximum"))
	case []any:
		is["array"] = true
		errs = append(errs, within(len(v), "minItems", "maxItems"))
		for i, e := range v {
			items, _ := s["items"].(map[string]any)
			errs = append(errs, accepts(items, e, fmt.Sprintf("%s[%d]", at, i)))
			if s["uniqueItems"] == true && slices.Contains(v[:i], e) {
				errs = append(errs, fmt.Errorf("%s: %v is there twice", at, e))
			}
		}
	case map[string]any:
		is["object"] = true
		errs = append(errs, within(len(v), "minProperties", "maxProperties"))
		properties, _ := s["properties"].(map[string]any)
		for k, e := range v {
			of, known := properties[k].(map[string]any)
			if !known && s["additionalProperties"] == false {
				errs = append(errs, fmt.Errorf("%s: no field is called %s", at, k))
			}
			errs = append(errs, accepts(of, e, at+"."+k))
		}
		required, _ := s["required"].([]any)
		for _, k := range required {
			if _, ok := v[fmt.Sprint(k)]; !ok {
				errs = append(errs, fmt.Errorf("%s: %s is missing", at, k))
			}
		}
	}
	if kind, ok := s["type"].(string); ok && !is[kind] {
		errs = append(errs, fmt.Errorf("%s: it is not of type %s", at, kind))
	}
	if all, ok := s["enum"].([]any); ok && !slices.Contains(all, v) {
		errs = append(errs, fmt.Errorf("%s: %v is none of %v", at, v, all))
	}
	if condition, ok := s["if"].(map[string]any); ok {
		branch := "then"
		if accepts(condition, v, at) != nil {
			branch = "else"
		}
		then, _ := s[branch].(map[string]any)
		errs = append(errs, accepts(then, v, at))
	}
	return errors.Join(errs...)
}

func TestAPISIXErrors(t *testing.T) {
	t.Parallel()
	server, person := apiServer(t), client(t, pkitest.Issuing(t), profiles.ECP256)
	for name, tt := range map[string]struct {
		format APISIX
		option string
		words  string
	}{
		"a role":               {APISIX{As: Peer}, "as", "server or client"},
		"an upstream's server": {APISIX{As: Server, Upstream: true}, "upstream", "APISIX is the client"},
		"an upstream's mTLS":   {APISIX{MTLS: true, Upstream: true}, "upstream", "APISIX is the client"},
		"an id alone":          {APISIX{ClientCertID: "1"}, "client-cert-id", "--upstream"},
		"an id":                {APISIX{Upstream: true, ClientCertID: "a/b"}, "client-cert-id", "letters"},
		"a long id":            {APISIX{Upstream: true, ClientCertID: strings.Repeat("a", 65)}, "client-cert-id", "64"},
		"a client's mTLS":      {APISIX{As: Client, MTLS: true}, "mtls", "by a server"},
		"depth alone":          {APISIX{Depth: 1}, "depth", "--mtls"},
		"an exception alone":   {APISIX{SkipMTLS: []string{"a"}}, "skip-mtls", "--mtls"},
		"no exception":         {APISIX{MTLS: true, SkipMTLS: []string{""}}, "skip-mtls", "regular expression"},
		"an exception twice":   {APISIX{MTLS: true, SkipMTLS: []string{"a", "a"}}, "skip-mtls", "regular expression"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.format.Export(server)
			wantOption(t, err, tt.option, "", tt.words)
		})
	}
	_, err := APISIX{MTLS: true, Depth: -1}.Export(server)
	wantOption(t, err, "depth", "2", "number of CAs")
	_, err = APISIX{MTLS: true}.Export(person)
	wantOption(t, err, "mtls", "", "clients alone")

	ca := pkitest.Issuing(t)
	address := pkitest.Issue(t, ca, profiles.Server(), pki.Request{SANs: pkitest.SANs(t, "10.0.0.7")})
	keyless, rootless, long := *server, *server, *server
	keyless.Key, rootless.Roots = nil, nil
	for len(long.ChainPEM()) <= 64<<10 {
		long.Chain = slices.Concat(long.Chain, long.Chain)
	}
	for name, tt := range map[string]struct {
		format APISIX
		bundle *pki.Bundle
		want   error
	}{
		"an address":           {APISIX{}, address, ErrNoSNI},
		"no key":               {APISIX{}, &keyless, ErrNoKey},
		"no key, for upstream": {APISIX{Upstream: true}, &keyless, ErrNoKey},
		"no root":              {APISIX{MTLS: true}, &rootless, ErrNoRoots},
		"an authority":         {APISIX{}, &pki.Bundle{Chain: ca.Chain(), Key: server.Key}, ErrIsAuthority},
		"a server as client":   {APISIX{As: Client}, server, ErrNotForClients},
		"a server, upstream":   {APISIX{Upstream: true}, server, ErrNotForClients},
		"a client as server":   {APISIX{As: Server}, person, ErrNotForServers},
	} {
		if _, err := tt.format.Export(tt.bundle); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", name, err, tt.want)
		}
	}
	if _, err := (APISIX{}).Export(&long); err == nil || !strings.Contains(err.Error(), "128 to 65536 characters") {
		t.Errorf("a long chain: error %v", err)
	}
	if _, err := (APISIX{}).Export(person); err != nil {
		t.Errorf("a client needs no DNS name: %v", err)
	}
}
