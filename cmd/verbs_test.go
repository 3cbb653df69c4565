package cmd

import (
	"regexp"
	"testing"
)

// TestVerbs runs verbs one after the other in one folder: what comes out where,
// and with which status.
func TestVerbs(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, step := range []struct {
		args           []string
		code           int
		stdout, stderr string // regular expressions of the whole
	}{
		{[]string{"list"}, 1, "", "mtlsctl: pki: there is no PKI directory\nhint: .*\n"},
		{
			[]string{"init-ca", "--org", "Acme"}, 0,
			"  root     Acme root CA     EC P-256  until 2036-11-18  pki/authorities/root\n" +
				"  issuing  Acme issuing CA  EC P-256  until 2031-11-20  pki/authorities/issuing  signs by default\n",
			"The root's key .*\nNext: mtlsctl issue server api.example.com\n",
		},
		{[]string{"init-ca", "--if-missing"}, 0, "", "Nothing to do: the authority exists\\.\n"},
		{[]string{"init-ca", "--if-missing", "--json"}, 0, "\\[\\]\n", ""},
		{
			[]string{"issue", "server", "api.example.com", "10.0.0.7"}, 0,
			"  api.example.com  server  by issuing  until 2027-11-21  DNS api.example.com, IP 10.0.0.7\n" +
				"  pki/certificates/api.example.com: tls.crt tls.key ca.crt\n",
			"Next: mtlsctl export secret api.example.com\n",
		},
		{[]string{"issue", "client", "bob", "--quiet"}, 0, "", ""},
		{[]string{"issue", "client", "bob"}, 1, "", "mtlsctl: certificate \"bob\" exists already\nhint: .*\n"},
		{[]string{"issue", "client", "carol", "--dry-run"}, 0, "  Name  +carol   client\n(?s:.*)", "This was a dry run: nothing was made\\.\n"},
		{
			[]string{"list", "--ca", "issuing"}, 0,
			"NAME .*\napi.example.com +server +issuing +valid +2027-11-21 +DNS api.example.com, IP 10.0.0.7\nbob +client +issuing +valid +2027-11-21 +CN=bob\n", "",
		},
		{[]string{"list", "--expiring", "1d", "--check"}, 0, "", "Nothing to list\\.\n"},
		{[]string{"list", "--expiring", "400d", "--check", "--json"}, 3, "\\[\n(?s:.*)\\]\n", ""},
		{
			[]string{"tree"}, 0,
			"root +Acme root CA +until 2036-11-18\n`-- issuing +Acme issuing CA +until 2031-11-20\n" +
				"    \\|-- api.example.com +server +until 2027-11-21 +DNS api.example.com, IP 10.0.0.7\n    `-- bob +client +until 2027-11-21\n", "",
		},
		{[]string{"export", "pem", "bob"}, 0, "  bob/tls.crt\n  bob/tls.key\n  bob/ca.crt\n", ""},
		{[]string{"export", "pem", "bob"}, 1, "", "mtlsctl: bob/tls.crt exists already\nhint: .*\n"},
		{[]string{"export", "pem", "bob", "--combined", "--json"}, 0, "\\{\n  \"name\": \"bob\",\n  \"format\": \"pem\",\n  \"files\": \\[\n    \"bob.pem\"\n  \\]\n\\}\n", ""},
		{[]string{"export", "secret", "root", "--ca-only"}, 0, "apiVersion: v1\ndata:\n  ca.crt: .*\nkind: Secret\nmetadata:\n  name: root\ntype: Opaque\n", ""},
		{[]string{"export", "p12", "bob"}, 2, "", "mtlsctl: there is no terminal .*\nhint: .*\n"},
		{[]string{"export", "p12", "bob", "--password-out", "password", "--quiet"}, 0, "", ""},
		{[]string{"export", "nothing", "bob"}, 2, "", "mtlsctl: unknown format \"nothing\": there are .*\nhint: .*\n"},
		{[]string{"version"}, 0, "mtlsctl .*\n", ""},
		{[]string{"completion", "fish"}, 0, "(?s:.*)", ""},
		{[]string{"completion"}, 2, "", "mtlsctl: SHELL is missing\nhint: .*\n"},
		{[]string{"man", "man1"}, 0, "", "\\d+ pages written to man1\n"},
		{[]string{"help", "exit-status"}, 0, "(?s:.*)", ""},
		{nil, 0, "(?s:A private .*|.*PKI directory.*)", ""},
	} {
		stdout, stderr, code := run(t, step.args...)
		if code != step.code {
			t.Errorf("mtlsctl %v: status %d, want %d", step.args, code, step.code)
		}
		for what, pair := range map[string][2]string{"stdout": {stdout, step.stdout}, "stderr": {stderr, step.stderr}} {
			if !regexp.MustCompile(`^(?:` + pair[1] + `)$`).MatchString(pair[0]) {
				t.Errorf("mtlsctl %v: %s is\n%s\nwant\n%s", step.args, what, pair[0], pair[1])
			}
		}
	}
}
