package pki_test

import (
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

var (
	label63 = strings.Repeat("a", 63)
	// 63+1+63+1+63+1+61 = 253 bytes.
	name253 = label63 + "." + label63 + "." + label63 + "." + strings.Repeat("b", 61)
)

func TestParseSAN(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		// DNS
		"example.com":            "DNS example.com",
		"API.Example.COM":        "DNS api.example.com",
		"localhost":              "DNS localhost",
		"dns:localhost":          "DNS localhost",
		"DNS:a.b":                "DNS a.b",
		"*.example.com":          "DNS *.example.com",
		"*.internal":             "DNS *.internal",
		"_etcd._tcp.example.com": "DNS _etcd._tcp.example.com",
		"my_service":             "DNS my_service",
		"a1--b2.example.com":     "DNS a1--b2.example.com",
		"1.2.3.4.example":        "DNS 1.2.3.4.example",
		"0x7f.0b1":               "DNS 0x7f.0b1",
		label63:                  "DNS " + label63,
		name253:                  "DNS " + name253,
		"bücher.example":         "DNS xn--bcher-kva.example",
		"BÜCHER.example":         "DNS xn--bcher-kva.example",
		"bu\u0308cher.example":   "DNS xn--bcher-kva.example", // not NFC
		"xn--bcher-kva.example":  "DNS xn--bcher-kva.example",
		"XN--BCHER-KVA.example":  "DNS xn--bcher-kva.example",
		"*.bücher.example":       "DNS *.xn--bcher-kva.example",
		"例え。テスト":                 "DNS xn--r8jz45g.xn--zckzah", // the ideographic dot is a dot
		"straße.example":         "DNS xn--strae-oqa.example",  // IDNA 2008, not 2003's "strasse"
		// IP
		"10.0.0.7":          "IP 10.0.0.7",
		"ip:10.0.0.7":       "IP 10.0.0.7",
		"0.0.0.0":           "IP 0.0.0.0",
		"::1":               "IP ::1",
		"2001:DB8:0:0::7":   "IP 2001:db8::7",
		"IP:2001:db8::7":    "IP 2001:db8::7",
		"::ffff:10.0.0.7":   "IP 10.0.0.7", // what the other side of a connection shows
		"64:ff9b::10.0.0.7": "IP 64:ff9b::a00:7",
		// email
		"alice@example.com":                      "email alice@example.com",
		"email:Alice@Example.COM":                "email Alice@example.com",
		"a.b+c@localhost":                        "email a.b+c@localhost",
		"o'neil@example.com":                     "email o'neil@example.com",
		"alice@bücher.example":                   "email alice@xn--bcher-kva.example",
		strings.Repeat("a", 64) + "@example.com": "email " + strings.Repeat("a", 64) + "@example.com",
		// URI
		"https://example.com":                           "URI https://example.com",
		"HTTPS://Example.com/Path?q=1#f":                "URI https://example.com/Path?q=1#f",
		"https://example.com:8443/id":                   "URI https://example.com:8443/id", // the port was lost once
		"https://example.com:/id":                       "URI https://example.com/id",
		"https://user@example.com/":                     "URI https://user@example.com/",
		"https://10.0.0.7:/id":                          "URI https://10.0.0.7/id",
		"https://[2001:DB8:0::7]/id":                    "URI https://[2001:db8::7]/id",
		"https://10.0.0.7/id":                           "URI https://10.0.0.7/id",
		"https://[2001:db8::7]:8443/id":                 "URI https://[2001:db8::7]:8443/id",
		"https://bücher.example/ü":                      "URI https://xn--bcher-kva.example/%C3%BC",
		"ldap://ldap.example.com/cn=x":                  "URI ldap://ldap.example.com/cn=x",
		"urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66": "URI urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
		"URN:x:y":                      "URI urn:x:y",
		"uri:tag:example.com,2026:x":   "URI tag:example.com,2026:x",
		"uri:mailto:alice@example.com": "URI mailto:alice@example.com",
		"URI:https://example.com/id":   "URI https://example.com/id",
		"dns://example.com/x":          "URI dns://example.com/x", // RFC 4501 has that scheme
		// SPIFFE
		"spiffe://example.org/ns/prod/sa/web":         "SPIFFE spiffe://example.org/ns/prod/sa/web",
		"spiffe://cluster/x":                          "SPIFFE spiffe://cluster/x",
		"spiffe://a_b-c.9/X_y-Z.0":                    "SPIFFE spiffe://a_b-c.9/X_y-Z.0",
		"spiffe://example.org":                        "SPIFFE spiffe://example.org",
		"spiffe:spiffe://example.org/x":               "SPIFFE spiffe://example.org/x",
		"uri:spiffe://example.org/x":                  "SPIFFE spiffe://example.org/x",
		"spiffe://" + strings.Repeat("t", 255) + "/x": "SPIFFE spiffe://" + strings.Repeat("t", 255) + "/x",
	} {
		got, err := pki.ParseSAN(in)
		if err != nil || got.String() != want {
			t.Errorf("ParseSAN(%q) = %s, %v; want %s", in, got, err, want)
			continue
		}
		if again, err := pki.NewSAN(got.Kind(), got.Value()); err != nil || again != got {
			t.Errorf("%s made again is %s, %v", got, again, err)
		}
	}
}

func TestParseSANRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		// DNS
		"":                       `DNS "": it is empty`,
		"dns:":                   `DNS "": it is empty`,
		"example.com.":           `DNS "example.com.": it ends with a dot; certificates name hosts without it`,
		".example.com":           `DNS ".example.com": it has an empty label`,
		"a..b":                   `DNS "a..b": it has an empty label`,
		"a b":                    `DNS "a b": it contains " "`,
		"a\x00.b":                `DNS "a\x00.b": it contains "\x00"`,
		"a\xff.b":                `DNS "a\xff.b": it contains "\xff"`,
		"a/b":                    `DNS "a/b": the label "a/b" contains '/'`,
		"-a.example":             `DNS "-a.example": the label "-a" begins or ends with a hyphen`,
		"a-.example":             `DNS "a-.example": the label "a-" begins or ends with a hyphen`,
		"*":                      `DNS "*": a wildcard is the whole first label and nothing else, as in *.example.com`,
		"*.":                     `DNS "*.": it ends with a dot; certificates name hosts without it`,
		"a.*.example.com":        `DNS "a.*.example.com": a wildcard is the whole first label and nothing else, as in *.example.com`,
		"*.*.example.com":        `DNS "*.*.example.com": a wildcard is the whole first label and nothing else, as in *.example.com`,
		"w*.example.com":         `DNS "w*.example.com": a wildcard is the whole first label and nothing else, as in *.example.com`,
		"*a.example.com":         `DNS "*a.example.com": a wildcard is the whole first label and nothing else, as in *.example.com`,
		"a_b.com":                `DNS "a_b.com": the label "a_b" has an underscore; only labels left of the last two may`,
		"a.b_c":                  `DNS "a.b_c": the label "b_c" has an underscore; only labels left of the last two may`,
		"1.2.3":                  `DNS "1.2.3": it ends in a number, as only IP addresses do`,
		"host.7":                 `DNS "host.7": it ends in a number, as only IP addresses do`,
		"256.0.0.1":              `DNS "256.0.0.1": it ends in a number, as only IP addresses do`,
		"12345":                  `DNS "12345": it ends in a number, as only IP addresses do`,
		label63 + "a.example":    `DNS "` + label63 + `a.example": the label "` + label63 + `a" has 64 bytes; a label has at most 63`,
		name253 + "b":            `DNS "` + name253 + `b": it has 254 bytes; a DNS name has at most 253`,
		"*." + name253:           `DNS "*.` + name253 + `": it has 255 bytes; a DNS name has at most 253`,
		"xn--a.example":          `DNS "xn--a.example": not a DNS name: idna: invalid label "\u0080"`,
		"xn--.example":           `DNS "xn--.example": it has an empty label`,
		"a\u200db.example":       `DNS "a\u200db.example": not a DNS name: idna: invalid label "a\u200db"`, // a joiner that joins nothing
		"dns:10.0.0.1":           `DNS "10.0.0.1": that is an IP address, and clients match it only as one`,
		"dns:::1":                `DNS "::1": that is an IP address, and clients match it only as one`,
		"dns:alice@example.com":  `DNS "alice@example.com": the label "alice@example" contains '@'`,
		"dns:https://a.example/": `DNS "https://a.example/": the label "https://a" contains ':'`,
		// IP
		"ip:example.com": `IP "example.com": that is no IPv4 or IPv6 address`,
		"ip:":            `IP "": that is no IPv4 or IPv6 address`,
		"ip:010.0.0.1":   `IP "010.0.0.1": that is no IPv4 or IPv6 address`, // some read it as octal
		"2001:db8::g":    `IP "2001:db8::g": that is no IPv4 or IPv6 address`,
		"2001:db8:::1":   `IP "2001:db8:::1": that is no IPv4 or IPv6 address`,
		"10.0.0.0/8":     `IP "10.0.0.0/8": a certificate names single addresses, not ranges`,
		"fd00::/8":       `IP "fd00::/8": a certificate names single addresses, not ranges`,
		"ip:10.0.0.7/32": `IP "10.0.0.7/32": a certificate names single addresses, not ranges`,
		"fe80::1%eth0":   `IP "fe80::1%eth0": a zone means something on one machine only`,
		"[::1]":          `IP "[::1]": an address is written without brackets here, as in 2001:db8::1`,
		// ports
		"10.0.0.7:443":      `name "10.0.0.7:443": a certificate names no port`,
		"[::1]:443":         `name "[::1]:443": a certificate names no port`,
		"localhost:8443":    `name "localhost:8443": a certificate names no port`,
		"dns:localhost:443": `DNS "localhost:443": the label "localhost:443" contains ':'`,
		// email
		"@example.com":                 `email "@example.com": that is no email address; give it bare, as in alice@example.com`,
		"alice@":                       `email "alice@": that is no email address; give it bare, as in alice@example.com`,
		"email:alice":                  `email "alice": that is no email address; give it bare, as in alice@example.com`,
		"Alice <alice@example.com>":    `email "Alice <alice@example.com>": that is no email address; give it bare, as in alice@example.com`,
		"a@b@example.com":              `email "a@b@example.com": that is no email address; give it bare, as in alice@example.com`,
		`"a b"@example.com`:            `email "\"a b\"@example.com": that is no email address; give it bare, as in alice@example.com`,
		"ali ce@example.com":           `email "ali ce@example.com": that is no email address; give it bare, as in alice@example.com`,
		"jürgen@example.com":           `email "jürgen@example.com": the part before the @ contains 'ü'; certificates hold printable ASCII there`,
		"alice@example..com":           `email "alice@example..com": that is no email address; give it bare, as in alice@example.com`,
		"alice@-a.example":             `email "alice@-a.example": its domain: the label "-a" begins or ends with a hyphen`,
		"alice@*.example":              `email "alice@*.example": its domain: no wildcard can stand here`,
		"alice@10.0.0.1":               `email "alice@10.0.0.1": its domain: it ends in a number, as only IP addresses do`,
		strings.Repeat("a", 65) + "@b": `email "` + strings.Repeat("a", 65) + `@b": the part before the @ has 65 bytes; 64 is the most`,
		// URI
		"https://":                  `URI "https://": nothing follows its scheme`,
		"https:///path":             `URI "https:///path": it has no host, as in https://example.com/id`,
		"file:///etc/passwd":        `URI "file:///etc/passwd": it has no host, as in https://example.com/id`,
		"uri:/path":                 `URI "/path": it has no scheme; give a whole URI, as in https://example.com/id`,
		"uri:example.com":           `URI "example.com": it has no scheme; give a whole URI, as in https://example.com/id`,
		"uri:":                      `URI "": it has no scheme; give a whole URI, as in https://example.com/id`,
		"uri:x:":                    `URI "x:": nothing follows its scheme`,
		"https://a b.example/":      `URI "https://a b.example/": that is no URI`,
		"https://example.com/%zz":   `URI "https://example.com/%zz": that is no URI`,
		"https://localhost/id":      `URI "https://localhost/id": its host: "localhost" is no full domain name, which RFC 5280 section 4.2.1.6 wants in a URI`,
		"https://*.example.com/":    `URI "https://*.example.com/": its host: no wildcard can stand here`,
		"https://exa_mple.com/":     `URI "https://exa_mple.com/": its host: the label "exa_mple" has an underscore; only labels left of the last two may`,
		"https://2001:db8::1/":      `URI "https://2001:db8::1/": that is no URI`,
		"s://:::":                   `URI "s://:::": its host: an IPv6 address is written in brackets, as in https://[2001:db8::1]/id`,
		"https://[fe80::1%25eth0]/": `URI "https://[fe80::1%25eth0]/": its host: a zone means something on one machine only`,
		"urn:{a}":                   `URI "urn:{a}": it contains '{'; percent-encode it`,
		"urn:%4":                    `URI "urn:%4": it contains a % that encodes nothing; write it as %25`,
		"urn:%zz":                   `URI "urn:%zz": it contains a % that encodes nothing; write it as %25`,
		"urn:ü":                     `URI "urn:ü": it contains 'ü'; percent-encode it`,
		"mailto:alice@example.com":  `name "mailto:alice@example.com": unknown SAN kind "mailto": there are dns, ip, email, uri, spiffe`,
		"tag:example.com,2026:x":    `name "tag:example.com,2026:x": unknown SAN kind "tag": there are dns, ip, email, uri, spiffe`,
		"rid:1.2.3":                 `name "rid:1.2.3": unknown SAN kind "rid": there are dns, ip, email, uri, spiffe`,
		// SPIFFE, by go-spiffe's rules
		"spiffe://Example.org/x":               `SPIFFE "spiffe://Example.org/x": trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores`,
		"spiffe://example.org:8443/x":          `SPIFFE "spiffe://example.org:8443/x": trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores`,
		"spiffe://u@example.org/x":             `SPIFFE "spiffe://u@example.org/x": trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores`,
		"spiffe://bücher.example/x":            `SPIFFE "spiffe://bücher.example/x": trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores`,
		"spiffe:///x":                          `SPIFFE "spiffe:///x": trust domain is missing`,
		"spiffe:example.org/x":                 `SPIFFE "spiffe:example.org/x": scheme is missing or invalid`,
		"SPIFFE://example.org/x":               `SPIFFE "SPIFFE://example.org/x": scheme is missing or invalid`,
		"spiffe://example.org/x?q=1":           `SPIFFE "spiffe://example.org/x?q=1": path segment characters are limited to letters, numbers, dots, dashes, and underscores`,
		"spiffe://example.org/x#f":             `SPIFFE "spiffe://example.org/x#f": path segment characters are limited to letters, numbers, dots, dashes, and underscores`,
		"spiffe://example.org/%41":             `SPIFFE "spiffe://example.org/%41": path segment characters are limited to letters, numbers, dots, dashes, and underscores`,
		"spiffe://example.org/a/../b":          `SPIFFE "spiffe://example.org/a/../b": path cannot contain dot segments`,
		"spiffe://example.org/./b":             `SPIFFE "spiffe://example.org/./b": path cannot contain dot segments`,
		"spiffe://example.org/x/":              `SPIFFE "spiffe://example.org/x/": path cannot have a trailing slash`,
		"spiffe://example.org/":                `SPIFFE "spiffe://example.org/": path cannot have a trailing slash`,
		"spiffe://example.org//x":              `SPIFFE "spiffe://example.org//x": path cannot contain empty segments`,
		"spiffe://example..org/x":              `SPIFFE "spiffe://example..org/x": its trust domain "example..org" has an empty label`,
		"spiffe://example.org./x":              `SPIFFE "spiffe://example.org./x": its trust domain "example.org." has an empty label`,
		"spiffe://" + strings.Repeat("t", 256): `SPIFFE "spiffe://` + strings.Repeat("t", 256) + `": its trust domain has 256 bytes; a trust domain has at most 255`,
	} {
		got, err := pki.ParseSAN(in)
		if got != (pki.SAN{}) || err == nil || err.Error() != want {
			t.Errorf("ParseSAN(%q) = %s\ngot  %v\nwant %s", in, got, err, want)
		}
		if _, ok := errors.AsType[*pki.SANError](err); !ok {
			t.Errorf("ParseSAN(%q): %T is no *SANError", in, err)
		}
	}
	long := "spiffe://example.org/" + strings.Repeat("x", 2048-len("spiffe://example.org/"))
	if _, err := pki.ParseSAN(long); err != nil {
		t.Errorf("a SPIFFE ID of 2048 bytes: %v", err)
	}
	if _, err := pki.ParseSAN(long + "x"); err == nil || !strings.HasSuffix(err.Error(), "it has 2049 bytes; a SPIFFE ID has at most 2048") {
		t.Errorf("a SPIFFE ID of 2049 bytes: %v", err)
	}
}

// What the value would be good as is for the hint that a command prints.
func TestNewSANInstead(t *testing.T) {
	t.Parallel()
	type instead struct {
		Kind  profiles.SANKind
		Value string
	}
	for _, tt := range []struct {
		kind  profiles.SANKind
		value string
		want  instead
	}{
		{"dns", "10.0.0.1", instead{"ip", "10.0.0.1"}},
		{"dns", "::FFFF:10.0.0.1", instead{"ip", "10.0.0.1"}},
		{"dns", "alice@Example.com", instead{"email", "alice@example.com"}},
		{"dns", "https://example.com/x", instead{"uri", "https://example.com/x"}},
		{"dns", "spiffe://example.org/x", instead{"spiffe", "spiffe://example.org/x"}},
		{"dns", "dns:example.com", instead{}}, // the same kind is no way out
		{"dns", "w*.example.com", instead{}},
		{"ip", "example.com", instead{"dns", "example.com"}},
		{"ip", "10.0.0.0/8", instead{}},
		{"email", "example.com", instead{"dns", "example.com"}},
		{"uri", "example.com", instead{"dns", "example.com"}},
		{"uri", "10.0.0.1", instead{"ip", "10.0.0.1"}},
		{"spiffe", "https://example.com/x", instead{"uri", "https://example.com/x"}},
		{"x400", "example.com", instead{"dns", "example.com"}},
		{"x400", "a b", instead{}},
	} {
		_, err := pki.NewSAN(tt.kind, tt.value)
		e, ok := errors.AsType[*pki.SANError](err)
		if !ok {
			t.Errorf("NewSAN(%s, %q): %v", string(tt.kind), tt.value, err)
			continue
		}
		if diff := cmp.Diff(tt.want, instead{e.Instead, e.InsteadValue}); diff != "" {
			t.Errorf("NewSAN(%s, %q): %v\n%s", string(tt.kind), tt.value, err, diff)
		}
	}
	if _, err := pki.NewSAN("x400", "a"); err == nil || err.Error() != `name "a": unknown SAN kind "x400": there are dns, ip, email, uri, spiffe` {
		t.Errorf("unknown kind: %v", err)
	}
}

func TestSANs(t *testing.T) {
	t.Parallel()
	sans, err := pki.SANs("a.example", "10.0.0.1", "a.example")
	if err != nil || len(sans) != 3 {
		t.Errorf("SANs = %v, %v; names are made one once when they are certified", sans, err)
	}
	if sans, err := pki.SANs("a.example", "b b"); sans != nil || err == nil {
		t.Errorf("SANs with a bad one = %v, %v", sans, err)
	}
}

func TestSANsOf(t *testing.T) {
	t.Parallel()
	uri, err := url.Parse("https://example.com/x")
	if err != nil {
		t.Fatal(err)
	}
	id, err := url.Parse("spiffe://example.org/x")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range pki.SANsOf(&x509.Certificate{
		URIs: []*url.URL{uri, id}, IPAddresses: []net.IP{net.ParseIP("10.0.0.7"), net.ParseIP("2001:db8::7")},
		EmailAddresses: []string{"not an address"}, DNSNames: []string{"Not A Name", "b"},
	}) {
		got = append(got, s.String())
	}
	want := []string{
		"DNS Not A Name", "DNS b", "email not an address", "IP 10.0.0.7", "IP 2001:db8::7",
		"URI https://example.com/x", "SPIFFE spiffe://example.org/x",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("SANsOf (-want +got):\n%s", diff)
	}
}
