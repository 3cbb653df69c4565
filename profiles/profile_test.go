package profiles_test

import (
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// facts is all that a profile tells of itself.
type facts struct {
	Name, Description     string
	ECUsage, RSAUsage     x509.KeyUsage
	Ed25519Usage          x509.KeyUsage
	Purposes              []x509.ExtKeyUsage
	Key                   profiles.KeyType
	Keys                  []profiles.KeyType
	Validity, MaxValidity time.Duration
	Subject               profiles.SubjectConfig
	Allowed, Required     []profiles.SANKind
	CSR                   []string
	Permit, Exclude       map[profiles.SANKind]string
}

func factsOf(p *profiles.Profile) facts {
	f := facts{
		Name: p.Name(), Description: p.Description(),
		ECUsage:      p.KeyUsageFor(profiles.ECP256),
		RSAUsage:     p.KeyUsageFor(profiles.RSA2048),
		Ed25519Usage: p.KeyUsageFor(profiles.Ed25519),
		Purposes:     p.ExtKeyUsage(),
		Key:          p.Key(), Keys: p.Keys(),
		Validity: p.Validity(), MaxValidity: p.MaxValidity(),
		Subject: p.Subject(),
		Allowed: p.Allowed(), Required: p.Required(),
	}
	for _, w := range append([]string{"commonName", "organizations", "organizationalUnits", "countries", "provinces", "localities"}, words(profiles.SANKinds())...) {
		if p.TakesFromCSR(w) {
			f.CSR = append(f.CSR, w)
		}
	}
	f.Permit, f.Exclude = map[profiles.SANKind]string{}, map[profiles.SANKind]string{}
	for _, k := range profiles.PatternKinds() {
		if p.Permitted(k) != nil {
			f.Permit[k] = fmt.Sprint(p.Permitted(k))
		}
		if p.Excluded(k) != nil {
			f.Exclude[k] = fmt.Sprint(p.Excluded(k))
		}
	}
	return f
}

func words(kinds []profiles.SANKind) (all []string) {
	for _, k := range kinds {
		all = append(all, string(k))
	}
	return all
}

const (
	sign    = x509.KeyUsageDigitalSignature
	encrypt = x509.KeyUsageKeyEncipherment
)

func TestBuiltin(t *testing.T) {
	t.Parallel()
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	every := profiles.SANKinds()
	takesAll := []string{"commonName", "dns", "ip", "email", "uri", "spiffe"}
	want := []facts{
		{
			Name: "server", Description: "a TLS server, found by DNS name or IP address",
			ECUsage: sign, RSAUsage: sign | encrypt, Ed25519Usage: sign,
			Purposes: both[:1], Allowed: every, Required: []profiles.SANKind{"dns", "ip"}, CSR: takesAll,
		},
		{
			Name: "client", Description: "a TLS client: a person, a service, a device",
			ECUsage: sign, RSAUsage: sign, Ed25519Usage: sign,
			Purposes: both[1:], Allowed: every, CSR: takesAll,
		},
		{
			Name: "peer", Description: "a cluster member: TLS server and client at once",
			ECUsage: sign, RSAUsage: sign | encrypt, Ed25519Usage: sign,
			Purposes: both, Allowed: every, Required: []profiles.SANKind{"dns", "ip"}, CSR: takesAll,
		},
		{
			Name: "spiffe", Description: "a SPIFFE workload (X.509-SVID)",
			ECUsage: sign, RSAUsage: sign | encrypt, Ed25519Usage: sign,
			Purposes: both, Allowed: []profiles.SANKind{"spiffe", "dns", "ip", "email"}, Required: []profiles.SANKind{"spiffe"},
			CSR: []string{"commonName", "dns", "ip", "email", "spiffe"},
		},
	}
	var got []facts
	for _, p := range profiles.Builtin() {
		got = append(got, factsOf(p))
	}
	for i := range want {
		want[i].Key, want[i].Keys, want[i].Validity = profiles.ECP256, profiles.KeyTypes(), year
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("built-in profiles (-want +got):\n%s", diff)
	}
}

const everyField = `
description: the mesh's workloads
usages: [digital signature, key encipherment, key agreement, server auth, client auth]
key: rsa-3072
keys: [ec-p384, rsa-3072, rsa-3072]
validity: 90d
maxValidity: 1y
subject:
  organizations: [Acme]
  organizationalUnits: [Web, Mesh]
  countries: [DE]
  provinces: [Bayern]
  localities: [Ort]
sans:
  allowed: [DNS, spiffe]
  required: [spiffe]
names:
  permit:
    commonName: ["web-*", api]
    dns: ["*.example.com"]
    spiffe: [spiffe://example.org/ns/prod/]
  exclude:
    dns: [admin.example.com]
csr: [commonName, organizations, spiffe]
`

func TestParse(t *testing.T) {
	t.Parallel()
	plain := facts{
		Name: "web", ECUsage: 0, Purposes: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		Key: profiles.ECP256, Keys: profiles.KeyTypes(), Validity: year, Allowed: profiles.SANKinds(),
		CSR: []string{"commonName", "dns", "ip", "email", "uri", "spiffe"},
	}
	with := func(change func(*facts)) facts {
		f := plain
		change(&f)
		return f
	}
	for name, tt := range map[string]struct {
		yaml string
		want facts
	}{
		"least":              {"usages: [client auth]", plain},
		"comments, end":      {"# mine\nusages: [client auth]\n...\n", plain},
		"null means default": {"usages: [client auth]\nkeys:\nvalidity:\nsans:\ncsr:\n", plain},
		"first of keys is the key": {"usages: [client auth]\nkeys: [ed25519, ec-p256]", with(func(f *facts) {
			f.Key, f.Keys = profiles.Ed25519, []profiles.KeyType{profiles.Ed25519, profiles.ECP256}
		})},
		"max cuts the default": {"usages: [client auth]\nmaxValidity: 30d", with(func(f *facts) {
			f.Validity, f.MaxValidity = 30*day, 30*day
		})},
		"max does not stretch the default": {"usages: [client auth]\nmaxValidity: 2y", with(func(f *facts) {
			f.MaxValidity = 2 * year
		})},
		"csr takes the key alone": {"usages: [client auth]\ncsr: []", with(func(f *facts) { f.CSR = nil })},
		"csr follows allowed": {"usages: [client auth]\nsans: {allowed: [uri]}", with(func(f *facts) {
			f.Allowed, f.CSR = []profiles.SANKind{"uri"}, []string{"commonName", "uri"}
		})},
		"everything": {everyField, facts{
			Name: "web", Description: "the mesh's workloads",
			ECUsage: sign | x509.KeyUsageKeyAgreement, RSAUsage: sign | encrypt, Ed25519Usage: sign,
			Purposes: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			Key:      profiles.RSA3072, Keys: []profiles.KeyType{profiles.ECP384, profiles.RSA3072},
			Validity: 90 * day, MaxValidity: year,
			Subject: profiles.SubjectConfig{
				Organizations: []string{"Acme"}, OrganizationalUnits: []string{"Web", "Mesh"},
				Countries: []string{"DE"}, Provinces: []string{"Bayern"}, Localities: []string{"Ort"},
			},
			Allowed: []profiles.SANKind{"dns", "spiffe"}, Required: []profiles.SANKind{"spiffe"},
			CSR: []string{"commonName", "organizations", "spiffe"},
			Permit: map[profiles.SANKind]string{
				profiles.KindCommonName: "[web-* api]", "dns": "[*.example.com]", "spiffe": "[spiffe://example.org/ns/prod/]",
			},
			Exclude: map[profiles.SANKind]string{"dns": "[admin.example.com]"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := profiles.Parse("web", []byte(tt.yaml))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, factsOf(p), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("profile (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const ok = "usages: [client auth]\n"
	for in, want := range map[string]string{
		// Not the YAML that is wanted: the line is named.
		ok + "bogus: 1":                 `line 2: field bogus is unknown`,
		ok + "\nsubject:\n  org: x":     `line 4: field org is unknown in subject`,
		ok + "sans:\n  optional: [dns]": `line 3: field optional is unknown in sans`,
		ok + "Validity: 90d":            `line 2: field Validity is unknown`,
		ok + "a: 1\nb: 2":               `line 2: field a is unknown; line 3: field b is unknown`,
		ok + ok:                         `line 2: mapping key "usages" already defined at line 1`,
		ok + "validity: [90d]":          `line 2: found a list, not a text`,
		"usages: client auth":           "line 1: found the text `client ...`, not a list",
		"usages:\n  client auth: true":  `line 2: found fields, not a list`,
		ok + "description: {a: b}":      `line 2: found fields, not a text`,
		"- usages":                      `line 1: found a list, not fields`,
		"usages":                        "line 1: found the text `usages`, not fields",
		ok + "sans: [dns]":              `line 2: found a list, not fields`,
		ok + "subject: 7":               "line 2: found the int `7`, not fields",
		"usages: [client auth":          `yaml: line 1: did not find expected ',' or ']'`,
		"usages: *x":                    `yaml: unknown anchor 'x' referenced`,
		"\tusages: []":                  `yaml: found character that cannot start any token`,
		ok + "---\n" + ok:               `one YAML document is wanted, and there are more`,
		ok + "---\nbogus: 1":            `one YAML document is wanted, and there are more`,
		// Not a profile: the field is named.
		"":                                      `usages: none given: write what the certificate is for, as in [digital signature, client auth]`,
		"usages: []":                            `usages: none given: write what the certificate is for, as in [digital signature, client auth]`,
		"validity: 90d":                         `usages: none given: write what the certificate is for, as in [digital signature, client auth]`,
		"usages: [sign]":                        `usages: unknown usage "sign": there are ` + strings.Join(profiles.UsageWords(), ", "),
		"usages: [cert sign, client auth]":      `usages: "cert sign" and "crl sign" are for authorities: make one with init-ca`,
		"usages: [digital signature, crl sign]": `usages: "cert sign" and "crl sign" are for authorities: make one with init-ca`,
		"usages: [encipher only]":               `usages: "encipher only" and "decipher only" mean nothing without "key agreement"`,
		"usages: [digital signature, key encipherment, client auth]":                `usages: "key encipherment" does not go with client auth (RFC 5280 section 4.2.1.12), and rsa-2048 is among keys`,
		"usages: [digital signature, content commitment, server auth, client auth]": `usages: "content commitment" does not go with server auth, client auth (RFC 5280 section 4.2.1.12), and ec-p256 is among keys`,
		"usages: [key encipherment, server auth]":                                   `keys: ec-p256 can do none of the key usages given`,
		"usages: [key agreement]":                                                   `keys: rsa-2048 can do none of the key usages given`,
		"usages: [key agreement]\nkeys: [ed25519]":                                  `keys: ed25519 can do none of the key usages given`,
		ok + "key: rsa":                                    `key: unknown key type "rsa": there are ec-p256, ec-p384, ec-p521, rsa-2048, rsa-3072, rsa-4096, ed25519`,
		ok + "keys: [ec-p256, dsa]":                        `keys: unknown key type "dsa": there are ec-p256, ec-p384, ec-p521, rsa-2048, rsa-3072, rsa-4096, ed25519`,
		ok + "key: ed25519\nkeys: [ec-p256]":               `key: ed25519 is not among keys`,
		ok + "validity: 90":                                `validity: "90" is not a lifetime: write it as 90d, 1y or 36h`,
		ok + "validity: 0d":                                `validity: "0d" is not a lifetime: it must be longer than nothing`,
		ok + "maxValidity: -1y":                            `maxValidity: "-1y" is not a lifetime: write it as 90d, 1y or 36h`,
		ok + "validity: 2y\nmaxValidity: 1y":               `validity: 2y is longer than maxValidity, 1y`,
		ok + "sans: {allowed: [dns, x400]}":                `sans.allowed: unknown SAN kind "x400": there are dns, ip, email, uri, spiffe`,
		ok + "sans: {required: [name]}":                    `sans.required: unknown SAN kind "name": there are dns, ip, email, uri, spiffe`,
		ok + "sans: {allowed: [dns], required: [dns, ip]}": `sans.required: ip is not among sans.allowed`,
		ok + "csr: [subject]":                              `csr: unknown word "subject": there are commonName, organizations, organizationalUnits, countries, provinces, localities, dns, ip, email, uri, spiffe`,
		ok + "csr: [DNS]":                                  `csr: unknown word "DNS": there are commonName, organizations, organizationalUnits, countries, provinces, localities, dns, ip, email, uri, spiffe`,
		ok + "csr: [ip]\nsans: {allowed: [dns]}":           `csr: ip is not among sans.allowed`,
	} {
		t.Run(fmt.Sprintf("%q", in), func(t *testing.T) {
			t.Parallel()
			p, err := profiles.Parse("web", []byte(in))
			want := `profile "web": ` + want
			if p != nil || err == nil || err.Error() != want {
				t.Errorf("profile %v\ngot  %v\nwant %s", p, err, want)
			}
		})
	}
}

// A profile is shared by everyone who issues, so nobody may change it.
func TestProfileDoesNotChange(t *testing.T) {
	t.Parallel()
	taken := []string{"dns"}
	c := profiles.Config{
		Usages: []string{"server auth"}, Keys: []string{"ed25519", "ec-p256"},
		Subject: profiles.SubjectConfig{Organizations: []string{"Acme"}},
		SANs:    profiles.SANConfig{Required: []string{"dns"}},
		CSR:     &taken,
	}
	p, err := profiles.New("web", c)
	if err != nil {
		t.Fatal(err)
	}
	// As text, which shares nothing with the profile.
	state := func() string { return fmt.Sprintf("%+v", factsOf(p)) }
	before := state()
	c.Subject.Organizations[0], c.Keys[0], taken[0] = "Evil", "rsa-2048", "uri"
	if diff := cmp.Diff(before, state()); diff != "" {
		t.Errorf("changed through its configuration:\n%s", diff)
	}
	got := factsOf(p)
	got.Subject.Organizations[0], got.Keys[0], got.Allowed[0], got.Required[0], got.Purposes[0] = "Evil", "rsa-2048", "uri", "uri", x509.ExtKeyUsageAny
	if diff := cmp.Diff(before, state()); diff != "" {
		t.Errorf("changed through what it returned:\n%s", diff)
	}
	profiles.KeyTypes()[0], profiles.SANKinds()[0] = "x", "x"
	if diff := cmp.Diff(before, state()); diff != "" || profiles.KeyTypes()[0] != profiles.ECP256 {
		t.Errorf("changed through the lists of words:\n%s", diff)
	}
}

func TestHasPurpose(t *testing.T) {
	t.Parallel()
	anything, err := profiles.New("any", profiles.Config{Usages: []string{"any"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		profile *profiles.Profile
		purpose x509.ExtKeyUsage
		want    bool
	}{
		{profiles.Server(), x509.ExtKeyUsageServerAuth, true},
		{profiles.Server(), x509.ExtKeyUsageClientAuth, false},
		{profiles.Peer(), x509.ExtKeyUsageClientAuth, true},
		{anything, x509.ExtKeyUsageClientAuth, true},
	} {
		if got := tt.profile.HasPurpose(tt.purpose); got != tt.want {
			t.Errorf("%s: HasPurpose(%v) = %v", tt.profile.Name(), tt.purpose, got)
		}
	}
}

func TestAllows(t *testing.T) {
	t.Parallel()
	for _, k := range profiles.SANKinds() {
		if got, want := profiles.SPIFFE().Allows(k), k != profiles.KindURI; got != want {
			t.Errorf("spiffe allows %s: %v", k, got)
		}
	}
	if profiles.Client().Allows("") {
		t.Error("a name of no kind is allowed")
	}
}
