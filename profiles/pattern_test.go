package profiles_test

import (
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// What a pattern covers, touches without covering, and has nothing to do with.
func TestPattern(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind    profiles.SANKind
		pattern string
		covers  []string
		touches []string
		not     []string
	}{
		{"dns", "*.example.com", []string{"a.example.com", "*.example.com"}, nil, []string{"example.com", "a.b.example.com", "a.example.com.evil.org", "aexample.com"}},
		{"dns", "**.example.com", []string{"a.example.com", "*.example.com", "a.b.example.com", "*.b.example.com"}, nil, []string{"example.com", "badexample.com"}},
		{"dns", "Web-*.example.com", []string{"web-1.example.com", "web-.example.com"}, []string{"*.example.com"}, []string{"db-1.example.com", "web.example.com"}},
		{"dns", "admin.example.com", []string{"admin.example.com"}, []string{"*.example.com"}, []string{"admin2.example.com", "*.admin.example.com"}},
		{"dns", "a*b*c.example", []string{"abc.example", "axxbxxc.example"}, nil, []string{"acb.example", "ab.example"}},
		{"dns", "a*a.example", []string{"aa.example"}, nil, []string{"a.example"}},
		{"ip", "10.20.0.0/16", []string{"10.20.1.2"}, nil, []string{"10.21.0.1", "::1", "::ffff:0:1"}},
		{"ip", "192.0.2.1", []string{"192.0.2.1"}, nil, []string{"192.0.2.2"}},
		{"ip", "fd00::/8", []string{"fd12::1"}, nil, []string{"fe80::1", "10.0.0.1"}},
		{"email", "@example.com", []string{"alice@example.com", "a+b@example.com"}, nil, []string{"alice@mail.example.com", "alice@example.com.evil.org"}},
		{"email", "@*.example.com", []string{"alice@mail.example.com"}, nil, []string{"alice@example.com"}},
		{"email", "svc-*@example.com", []string{"svc-a@example.com"}, []string{"SVC-a@example.com"}, []string{"alice@example.com"}},
		{"uri", "https://example.com/id/", []string{"https://example.com/id/a", "https://example.com/id/a/b?x=1#y"},
			[]string{
				"https://user@example.com/id/a", "https://example.com:8443/id/a", "https://example.com/%69d/a",
				"https://example.com/id/../admin", "https://example.com/id/%2e%2E/admin", "https://example.com/id/a%2F..%2Fb", "https://example.com/x/..",
			},
			[]string{"https://example.com/id", "https://example.com/idx/a", "http://example.com/id/a", "https://example.com.evil.org/id/a", "https://evil.org/id/a", "urn:example:a"}},
		{"uri", "https://example.com", []string{"https://example.com", "https://example.com/a"}, nil, []string{"https://a.example.com/"}},
		{"uri", "https://example.com:8443/a", []string{"https://example.com:8443/a", "https://example.com:8443/a/b"}, nil, []string{"https://example.com/a", "https://example.com:8444/a"}},
		{"uri", "https://*.example.com/", []string{"https://a.example.com/x"}, nil, []string{"https://example.com/x", "https://a.b.example.com/x"}},
		{"uri", "https://10.0.0.1/a", []string{"https://10.0.0.1/a"}, nil, []string{"https://10.0.0.2/a"}},
		{"uri", "https://[2001:db8::1]/a", []string{"https://[2001:db8::1]/a"}, nil, []string{"https://[2001:db8::2]/a"}},
		{"uri", "urn:example:", []string{"urn:example:a", "urn:example:"}, nil, []string{"urn:examples:a", "https://example/"}},
		{"uri", "urn:example", []string{"urn:example"}, []string{"urn:examples"}, []string{"urn:exampl"}},
		{"spiffe", "spiffe://example.org/ns/prod/", []string{"spiffe://example.org/ns/prod/sa/web"}, nil,
			[]string{"spiffe://example.org/ns/prod", "spiffe://example.org/ns/production/sa/web", "spiffe://example.org.evil/ns/prod/sa/web", "spiffe://evil/ns/prod/a"}},
		{"spiffe", "spiffe://example.org/ns/*/sa/web", []string{"spiffe://example.org/ns/prod/sa/web", "spiffe://example.org/ns/dev/sa/web/1"}, nil,
			[]string{"spiffe://example.org/ns/prod/x/sa/web", "spiffe://example.org/ns/prod/sa/db"}},
		{"commonName", "svc-*", []string{"svc-", "svc-a.b c"}, []string{"SVC-a"}, []string{"web", "a svc-b"}},
		{"commonName", "*.example.com", []string{"a.example.com", "a.b.example.com"}, nil, []string{"example.com"}},
	} {
		p, err := profiles.ParsePattern(tt.kind, tt.pattern)
		if err != nil || p.String() != tt.pattern {
			t.Errorf("%s %s: %q, %v", tt.kind, tt.pattern, p, err)
			continue
		}
		check := func(names []string, covers, touches bool) {
			for _, n := range names {
				if p.Covers(n) != covers || p.Touches(n) != touches {
					t.Errorf("%s %s, and %s: covers %t, touches %t", tt.kind, tt.pattern, n, p.Covers(n), p.Touches(n))
				}
			}
		}
		check(tt.covers, true, true)
		check(tt.touches, false, true)
		check(tt.not, false, false)
	}
}

func TestParsePatternRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind          profiles.SANKind
		pattern, want string
	}{
		{"dns", "", "it is empty"},
		{"dns", "a..b", "it has an empty label"},
		{"dns", "a.**.b", "** stands in front of a host alone, as in **.example.com"},
		{"dns", "**", "** stands in front of a host alone, as in **.example.com"},
		{"dns", "bücher.example", `its label "bücher" contains 'ü'; write other scripts in A-labels, as in xn--bcher-kva`},
		{"dns", "a[bc].example", `its label "a[bc]" contains '['; write other scripts in A-labels, as in xn--bcher-kva`},
		{"ip", "10.0.0.1/8", "the range begins at 10.0.0.0; write 10.0.0.0/8"},
		{"ip", "10.*", "that is no range of IP addresses, as in 10.0.0.0/8"},
		{"ip", "::ffff:10.0.0.0/104", "that is a range of IPv4 addresses written as IPv6; write it as IPv4"},
		{"email", "example.com", "it has no @, as in @example.com"},
		{"email", "alice@", "it has an empty label"},
		{"uri", "example.com/id", "it has no scheme, or is no URI, as in https://example.com/id/"},
		{"uri", "https:///id", "it has no host, as in https://example.com/id/"},
		{"uri", "https://example.com/a?b", "it is about scheme, host and path alone"},
		{"uri", "https://example.com/a/../b", "its path contains . or .., which mean another"},
		{"uri", "spiffe://example.org/", "spiffe: is for patterns of kind spiffe, and they for it"},
		{"spiffe", "https://example.org/", "spiffe: is for patterns of kind spiffe, and they for it"},
		{"x400", "a", `unknown SAN kind "x400": there are dns, ip, email, uri, spiffe`},
	} {
		p, err := profiles.ParsePattern(tt.kind, tt.pattern)
		if want := `pattern "` + tt.pattern + `": ` + tt.want; err == nil || err.Error() != want || p.String() != "" {
			t.Errorf("%s: %q, %v\nwant %s", tt.kind, p, err, want)
		}
	}
}

const namesProfile = `
usages: [client auth]
sans: {allowed: [dns, email]}
names:
  permit:
    dns: ["**.prod.example.com", "prod.example.com"]
  exclude:
    dns: [admin.prod.example.com]
    email: ["root@*.example.com"]
    commonName: ["system:*"]
`

func TestCheckName(t *testing.T) {
	t.Parallel()
	p, err := profiles.Parse("prod", []byte(namesProfile))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		kind        profiles.SANKind
		value, want string
	}{
		{"dns", "a.b.prod.example.com", ""},
		{"dns", "prod.example.com", ""},
		{"dns", "dev.example.com", `DNS name "dev.example.com" is not permitted by names.permit.dns: **.prod.example.com, prod.example.com`},
		{"dns", "*.prod.example.com", `DNS name "*.prod.example.com" is excluded by names.exclude.dns: admin.prod.example.com`},
		{"email", "alice@example.org", ""},
		{"email", "root@mail.example.com", `email name "root@mail.example.com" is excluded by names.exclude.email: root@*.example.com`},
		{"commonName", "anything", ""},
		{"commonName", "a.prod.example.com", ""},
		{"commonName", "System:masters", `common name "System:masters" is excluded by names.exclude.commonName: system:*`},
		{"commonName", "A.dev.example.com", `common name "A.dev.example.com" is not permitted by names.permit.dns: **.prod.example.com, prod.example.com`},
		{"commonName", "Admin.prod.example.com", `common name "Admin.prod.example.com" is excluded by names.exclude.dns: admin.prod.example.com`},
	} {
		var err error
		if tt.kind == profiles.KindCommonName {
			err = p.CheckCommonName(tt.value, strings.Contains(tt.value, "."))
		} else {
			err = p.CheckName(tt.kind, tt.value)
		}
		if got := text(err); got != tt.want {
			t.Errorf("%s %s: %s\nwant %s", tt.kind, tt.value, got, tt.want)
		}
	}

	// Patterns for common names that permit take the place of those for DNS names.
	own, err := profiles.New("prod", profiles.Config{Usages: []string{"client auth"}, Names: profiles.NamesConfig{
		Permit:  profiles.NamePatterns{CommonName: []string{"*.dev.example.com"}, DNS: []string{"prod.example.com"}},
		Exclude: profiles.NamePatterns{DNS: []string{"x.dev.example.com"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := own.CheckCommonName("a.dev.example.com", true); err != nil {
		t.Error(err)
	}
	if err := own.CheckCommonName("x.dev.example.com", true); err == nil {
		t.Error("what is excluded went through")
	}
	if len(p.Permitted(profiles.KindDNS)) != 2 || len(p.Excluded(profiles.KindEmail)) != 1 || len(p.Permitted(profiles.KindIP)) != 0 {
		t.Errorf("permitted %v, excluded %v", p.Permitted(profiles.KindDNS), p.Excluded(profiles.KindEmail))
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestNamesRefused(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"names: {permit: {dns: [a..b]}}":                            `names.permit: dns: pattern "a..b": it has an empty label`,
		"names: {exclude: {commonName: ['']}}":                      `names.exclude: commonName: pattern "": it is empty`,
		"sans: {allowed: [dns]}\nnames: {permit: {ip: [10.0.0.1]}}": `names.permit: ip is not among sans.allowed`,
		"names: {permit: {DNS: [a.b]}}":                             `line 2: field DNS is unknown in names.permit and names.exclude`,
		"names: {allow: {}}":                                        `line 2: field allow is unknown in names`,
		"names: [a]":                                                `line 2: found a list, not fields`,
	} {
		p, err := profiles.Parse("web", []byte("usages: [client auth]\n"+in))
		if got := text(err); p != nil || got != `profile "web": `+want {
			t.Errorf("%s: %s\nwant %s", in, got, want)
		}
	}
}

// What a pattern covers, it touches; a literal one covers itself; and it is read
// again from its text.
func FuzzPattern(f *testing.F) {
	seeds := [][3]string{
		{"dns", "*.example.com", "a.example.com"}, {"dns", "**.a", "*.b.a"}, {"ip", "fd00::/8", "::1"}, {"email", "a*@b.c", "ab@b.c"},
		{"uri", "https://a.b/c/", "https://a.b/c/%2e%2e"}, {"uri", "urn:a:", "urn:a:b"}, {"spiffe", "spiffe://a/*/", "spiffe://a/b/c"},
		{"commonName", "*a*", "bab"}, {"uri", "https://[::1]:1/", "https://[::1]:1/"}, {"uri", "a:", "b:%"},
	}
	for _, s := range seeds {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, kind, pattern, name string) {
		p, err := profiles.ParsePattern(profiles.SANKind(kind), pattern)
		if err != nil {
			if p.String() != "" {
				t.Fatalf("a pattern beside %v", err)
			}
			return
		}
		again, err := profiles.ParsePattern(profiles.SANKind(kind), p.String())
		if err != nil || again.Covers(name) != p.Covers(name) || again.Touches(name) != p.Touches(name) {
			t.Errorf("%q read again: %v", pattern, err)
		}
		if p.Covers(name) && !p.Touches(name) {
			t.Errorf("%s %q covers %q without touching it", kind, pattern, name)
		}
		if kind == "dns" && !strings.Contains(pattern, "**") && !p.Covers(pattern) {
			t.Errorf("%q does not cover itself", pattern)
		}
	})
}
