package cmd

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/mtlsctl/mtlsctl/pki"
	"github.com/mtlsctl/mtlsctl/profiles"
)

func TestIssueOptions(t *testing.T) {
	t.Parallel()
	secret := secretFlags{word: "passphrase"}
	server := profiles.Server()
	newCmd := func(run func(context.Context, *issueOptions) error) *cobra.Command {
		return newIssueProfileCmd(&app{}, server, run)
	}
	checkOptions(t, newCmd, map[string]optionsTest[issueOptions]{
		"a name": {
			args: []string{"web"},
			want: issueOptions{profile: server, name: "web", positional: []string{}, passphrase: secret},
		},
		"names by position stay as they are": {
			args: []string{"web", "a.example.com", "10.0.0.7"},
			want: issueOptions{profile: server, name: "web", positional: []string{"a.example.com", "10.0.0.7"}, passphrase: secret},
		},
		"names by flag, in their order": {
			args: []string{"web", "--ip", "10.0.0.7", "--dns", "A.example.com", "--uri", "https://example.com/x", "--email", "a@example.com", "--spiffe", "spiffe://example.org/x", "--dns", "*.example.com"},
			want: issueOptions{profile: server, name: "web", positional: []string{}, passphrase: secret, sans: []pki.SAN{
				mustSAN(t, "10.0.0.7"), mustSAN(t, "a.example.com"), mustSAN(t, "https://example.com/x"), mustSAN(t, "a@example.com"),
				mustSAN(t, "spiffe://example.org/x"), mustSAN(t, "*.example.com"),
			}},
		},
		"the subject": {
			args: []string{"web", "--cn", "Web", "--org", "Acme", "--org", "Acme Web", "--ou", "a", "--country", "DE", "--province", "Berlin", "--locality", "Mitte"},
			want: issueOptions{profile: server, name: "web", positional: []string{}, passphrase: secret, cnSet: true, subject: pki.Subject{
				CommonName: "Web", Organizations: []string{"Acme", "Acme Web"}, OrganizationalUnits: []string{"a"},
				Countries: []string{"DE"}, Provinces: []string{"Berlin"}, Localities: []string{"Mitte"},
			}},
		},
		"no common name is a choice": {
			args: []string{"web", "--cn", ""},
			want: issueOptions{profile: server, name: "web", positional: []string{}, passphrase: secret, cnSet: true},
		},
		"all others": {
			args: []string{
				"web", "--ca", "mesh", "--key", "rsa-3072", "--encoding", "pkcs1", "--validity", "90d", "--not-before", "2027-01-31",
				"--out", "tls", "--force", "--dry-run", "--passphrase-file", "secret", "--ca-key", "root.key",
			},
			want: issueOptions{
				profile: server, name: "web", positional: []string{}, ca: "mesh", key: profiles.RSA3072, encoding: pki.PKCS1,
				lifetime: pki.Lifetime{Validity: 90 * oneDay, NotBefore: moment(2027, 1, 31, 0)}, out: "tls", force: true, dryRun: true,
				passphrase: secretFlags{word: "passphrase", file: "secret"}, caKey: "root.key",
			},
		},
		"a request": {
			args: []string{"web", "--csr", "-", "--if-missing", "--not-after", "2027-01-31T12:00:00+02:00", "--passphrase-env", "SECRET"},
			want: issueOptions{
				profile: server, name: "web", positional: []string{}, csr: "-", ifMissing: true,
				lifetime: pki.Lifetime{NotAfter: moment(2027, 1, 31, 10)}, passphrase: secretFlags{word: "passphrase", env: "SECRET"},
			},
		},
		"the last value counts": {
			args: []string{"web", "--key", "rsa-2048", "--key", "ed25519", "--passphrase-stdin"},
			want: issueOptions{
				profile: server, name: "web", positional: []string{}, key: profiles.Ed25519,
				passphrase: secretFlags{word: "passphrase", stdin: true},
			},
		},
		"no name":        {err: "NAME is missing"},
		"a bad name":     {args: []string{"web", "--ip", "a"}, err: `--ip "a": that is no IPv4 or IPv6 address`},
		"a bad time":     {args: []string{"web", "--not-after", "tomorrow"}, err: `--not-after "tomorrow": write a date as 2027-01-31, or a moment as 2027-01-31T12:00:00Z`},
		"a bad country":  {args: []string{"web", "--country", "de"}, err: `--country "de": a country is two capital letters, as in DE`},
		"an empty org":   {args: []string{"web", "--org", ""}, err: `--org "": it is empty`},
		"two answers":    {args: []string{"web", "--force", "--if-missing"}, err: "--if-missing and --force exclude each other"},
		"two ends":       {args: []string{"web", "--validity", "1d", "--not-after", "2027-01-31"}, err: "--validity and --not-after exclude each other"},
		"two keys":       {args: []string{"web", "--csr", "f", "--key", "ed25519"}, err: "--csr and --key exclude each other"},
		"two encodings":  {args: []string{"web", "--csr", "f", "--encoding", "sec1"}, err: "--csr and --encoding exclude each other"},
		"two secrets":    {args: []string{"web", "--passphrase-file", "f", "--passphrase-stdin"}, err: "--passphrase-file and --passphrase-stdin exclude each other"},
		"unknown":        {args: []string{"web", "--color"}, err: "unknown flag: --color"},
		"a secret value": {args: []string{"web", "--passphrase", "hunter2"}, err: "unknown flag: --passphrase"},
	})
}

// A profile offers the names that it allows, and no others.
func TestIssueNameFlags(t *testing.T) {
	t.Parallel()
	for _, p := range profiles.Builtin() {
		c := newIssueProfileCmd(&app{}, p, nil)
		for _, k := range profiles.SANKinds() {
			if has := c.Flags().Lookup(string(k)) != nil; has != p.Allows(k) {
				t.Errorf("issue %s has the flag --%s: %t", p.Name(), string(k), has)
			}
		}
	}
}

// What NAME becomes, by profile.
func TestIssueOrder(t *testing.T) {
	t.Parallel()
	type order struct {
		Name, CommonName string
		SANs             []string
	}
	for _, tt := range []struct {
		profile string
		name    string
		args    []string // by position
		cnSet   bool
		want    order
	}{
		{"server", "api.example.com", nil, false, order{"api.example.com", "api.example.com", []string{"DNS api.example.com"}}},
		{"server", "web", nil, false, order{"web", "web", []string{"DNS web"}}},
		{"server", "web", []string{"a.example.com"}, false, order{"web", "web", []string{"DNS web", "DNS a.example.com"}}},
		{"server", "web", []string{"web"}, false, order{"web", "web", []string{"DNS web"}}},
		{"server", "10.0.0.7", nil, false, order{"10.0.0.7", "10.0.0.7", []string{"IP 10.0.0.7"}}},
		{"server", "*.example.com", nil, false, order{"wildcard.example.com", "*.example.com", []string{"DNS *.example.com"}}},
		{"server", "alice@example.com", nil, false, order{"alice@example.com", "alice@example.com", nil}},
		{"server", "web", nil, true, order{"web", "", []string{"DNS web"}}},
		{"server", "a_b+c", []string{"a.example.com"}, false, order{"a_b+c", "a_b+c", []string{"DNS a.example.com"}}},
		{"client", "laptop", nil, false, order{"laptop", "laptop", nil}},
		{"client", "laptop.internal", nil, false, order{"laptop.internal", "laptop.internal", []string{"DNS laptop.internal"}}},
		{"client", "alice@example.com", nil, false, order{"alice@example.com", "alice@example.com", []string{"email alice@example.com"}}},
		{"client", "10.0.0.7", nil, false, order{"10.0.0.7", "10.0.0.7", []string{"IP 10.0.0.7"}}},
		{"peer", "etcd-1", []string{"10.0.0.11", "127.0.0.1"}, false, order{"etcd-1", "etcd-1", []string{"DNS etcd-1", "IP 10.0.0.11", "IP 127.0.0.1"}}},
		{"spiffe", "web", []string{"spiffe://example.org/web"}, false, order{"web", "web", []string{"SPIFFE spiffe://example.org/web"}}},
		{"spiffe", "web.internal", []string{"spiffe://example.org/web"}, false, order{"web.internal", "web.internal", []string{"SPIFFE spiffe://example.org/web"}}},
	} {
		var profile *profiles.Profile
		for _, p := range profiles.Builtin() {
			if p.Name() == tt.profile {
				profile = p
			}
		}
		o, left, err := (&app{}).issueOrder(&issueOptions{profile: profile, name: tt.name, positional: tt.args, cnSet: tt.cnSet})
		if err != nil || left != nil {
			t.Errorf("issue %s %s: %v, left %v", tt.profile, tt.name, err, left)
			continue
		}
		got := order{Name: o.Name.String(), CommonName: o.Request.Subject.CommonName}
		for _, s := range o.Request.SANs {
			got.SANs = append(got.SANs, s.String())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("issue %s %s %v (-want +got):\n%s", tt.profile, tt.name, tt.args, diff)
		}
	}
}

// Where the PKI directory is looked for before the flags are parsed.
func TestPeekPKI(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		env  string
		args []string
		want string
	}{
		{"", nil, "pki"},
		{"e", nil, "e"},
		{"e", []string{"issue", "--pki", "f", "robot"}, "f"},
		{"e", []string{"--pki=f", "issue"}, "f"},
		{"", []string{"--pki", "f", "--pki=g"}, "g"},
		{"", []string{"issue", "--", "--pki", "f"}, "pki"},
		{"", []string{"issue", "--pki"}, "pki"},
	} {
		a := &app{Env: Env{Getenv: func(string) string { return tt.env }}}
		if got := a.peekPKI(tt.args); got != tt.want {
			t.Errorf("peekPKI(%v) with %q = %q, want %q", tt.args, tt.env, got, tt.want)
		}
	}
}
