package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// nssDB makes an empty database, in which the root at the path is trusted for
// servers and clients. Without a path, nobody is.
func (s *shell) nssDB(t *testing.T, dir, root string) string {
	t.Helper()
	if err := os.MkdirAll(s.path(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	db := " -d sql:" + dir + " "
	s.ok(t, "certutil -N --empty-password"+db)
	if root != "" {
		s.ok(t, "certutil -A -t CT,, -i "+root+db+"-n", "Acme root")
	}
	return db
}

// badUsage is what certutil says of a good chain for another purpose: either
// "Certificate type not approved for application" or "Certificate key usage
// inadequate for attempted operation".
const badUsage = "certificate is invalid: Certificate "

func TestNSS(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"certutil", "pk12util"},
		"issue client alice@example.com --org Acme",
		"issue client rsa --key rsa-2048",
		"issue client apisix@apache.org --cn=",
		"issue server web localhost",
	)
	for _, c := range []struct{ name, flags, friendly, algorithm string }{
		{"alice@example.com", "--for firefox,chrome", "alice@example.com", "Triple DES"},
		{"alice@example.com", "--encoding modern-2023", "alice@example.com", "AES-256-CBC"},
		{"rsa", "--for firefox", "rsa", "AES-256-CBC"},
		// Without a common name it is the address that tells it from others.
		{"apisix@apache.org", "", "apisix@apache.org", "Triple DES"},
		{"alice@example.com", "--friendly-name=Alice\u00e4", "Alice\u00e4", "Triple DES"},
	} {
		t.Run(strings.ReplaceAll(c.name+c.flags, " ", ""), func(t *testing.T) {
			dir, err := os.MkdirTemp(s.dir, "nss")
			if err != nil {
				t.Fatal(err)
			}
			dir = filepath.Base(dir)
			file := dir + ".p12"
			s.ok(t, "mtlsctl export p12 "+c.name+" "+c.flags+" --out "+file+" --password-out "+file+".password")
			db := s.nssDB(t, dir, "")
			listed := s.ok(t, "pk12util -l "+file+" -w "+file+".password"+db)
			keyPart, certificates, _ := strings.Cut(listed.stdout, "\nCertificate")
			for what, part := range map[string]string{"key": keyPart, "certificate": certificates} {
				if !strings.Contains(part, "Friendly Name: "+c.friendly) {
					t.Errorf("the %s has no friendly name %q\n%v", what, c.friendly, listed)
				}
			}
			if !strings.Contains(keyPart, c.algorithm) {
				t.Errorf("the key is not encrypted with %s\n%v", c.algorithm, listed)
			}

			s.ok(t, "pk12util -i "+file+" -w "+file+".password"+db+"-K", "").mustSay(t, "IMPORT SUCCESSFUL")
			if out := s.ok(t, "certutil -L"+db); !hasRow(out.stdout, c.friendly, "u,u,u") || !hasRow(out.stdout, "Acme issuing CA - Acme", ",,") {
				t.Errorf("certificate with its key, or intermediate, is missing\n%v", out)
			}
			if out := s.ok(t, "certutil -K"+db); strings.Count(out.stdout, "   "+c.friendly+"\n") != 1 {
				t.Errorf("there is no one key called %q\n%v", c.friendly, out)
			}

			verify := func(usage string) []string {
				return []string{"certutil -V -e -u " + usage + db + "-n", c.friendly}
			}
			client, server := verify("C"), verify("V")
			// An import must not make the root trusted.
			s.refused(t, "certificate is invalid", client[0], client[1])
			s.ok(t, "certutil -A -t CT,, -i "+ca+db+"-n", "Acme root")
			s.ok(t, client[0], client[1]).mustSay(t, "certificate is valid")
			s.refused(t, badUsage, server[0], server[1])
		})
	}

	t.Run("server", func(t *testing.T) {
		db := s.nssDB(t, "server", ca)
		s.ok(t, "certutil -A -t ,, -i pki/authorities/issuing/tls.crt"+db+"-n issuing")
		s.ok(t, "certutil -A -t ,, -i "+crt("web")+db+"-n web")
		s.ok(t, "certutil -V -e -u V -n web"+db).mustSay(t, "certificate is valid")
		s.refused(t, badUsage, "certutil -V -e -u C -n web"+db)
	})

	t.Run("wrong password", func(t *testing.T) {
		s.ok(t, "mtlsctl export p12 rsa --password-out rsa.password")
		s.write(t, "wrong.password", []byte("not the password\n"))
		db := s.nssDB(t, "wrong", "")
		s.refused(t, "SEC_ERROR_BAD_PASSWORD", "pk12util -i rsa.p12 -w wrong.password"+db+"-K", "")
	})

	// Its import into NSS fails, so that such a file must not be made for it.
	t.Run("ed25519", func(t *testing.T) {
		next := s.ok(t, "mtlsctl issue client ed25519 --key ed25519").stderr
		if strings.Contains(next, "export p12") {
			t.Errorf("the next step that is named is one that is refused:\n%s", next)
		}
		s.refused(t, "Ed25519", "mtlsctl export p12 ed25519 --for firefox --password-out ed25519.password")
		for _, file := range []string{"ed25519.p12", "ed25519.password"} {
			if _, err := os.Lstat(s.path(file)); !os.IsNotExist(err) {
				t.Errorf("%s was written all the same: %v", file, err)
			}
		}
	})
}

// hasRow reports whether a table of certutil has a row for a nickname with these
// trust flags.
func hasRow(table, nickname, flags string) bool {
	for line := range strings.Lines(table) {
		if rest, ok := strings.CutPrefix(line, nickname+" "); ok && strings.TrimSpace(rest) == flags {
			return true
		}
	}
	return false
}
