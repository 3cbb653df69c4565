package e2e

import (
	"strings"
	"testing"
)

// TestNameConstraints has other programs hold an authority to its constraints:
// they take what mtlsctl issues, and refuse what somebody who stole the key
// would issue.
func TestNameConstraints(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"openssl", "certtool", "certutil"},
		"init-ca mesh --parent root --permit example.com --permit 10.0.0.0/8 --permit @example.com"+
			" --permit spiffe://example.org --exclude secret.example.com",
		"issue server www.example.com 10.0.0.7 --ca mesh",
		"issue client bob@example.com --ca mesh",
		"issue spiffe workload --cn= --spiffe spiffe://example.org/workload --ca mesh",
	)
	const mesh = "pki/authorities/mesh/tls.crt"
	db := s.nssDB(t, "nss", ca)
	s.ok(t, "certutil -A -t ,, -n mesh -i "+mesh+db)
	// judges are how each program verifies a chain, and what it says to a name
	// that the authority may not certify.
	type judge struct{ line, why string }
	judges := func(t *testing.T, file, usage string) []judge {
		t.Helper()
		s.ok(t, "certutil -A -t ,, -i "+file+db+"-n "+file)
		return []judge{
			{"openssl verify -x509_strict -CAfile " + ca + " -untrusted " + mesh + " " + file, "subtree violation"},
			{"certtool --verify --verify-profile medium --load-ca-certificate " + ca + " --infile " + file, "violates the signer's constraints"},
			{"certutil -V -e -u " + usage + db + "-n " + file, "not permitted to issue a certificate with this name"},
		}
	}
	for _, c := range []struct{ name, usage string }{{"www.example.com", "V"}, {"bob@example.com", "C"}, {"workload", "V"}} {
		for _, j := range judges(t, crt(c.name), c.usage) {
			s.ok(t, j.line)
		}
	}

	for name, san := range map[string]string{
		"dns":      "DNS:www.example.net",
		"excluded": "DNS:www.secret.example.com",
		"ip":       "IP:127.0.0.1",
		"email":    "email:bob@example.net",
		"uri":      "URI:spiffe://example.net/workload",
	} {
		t.Run(name, func(t *testing.T) {
			s.ok(t, "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "+name+".key -out "+name+".csr -subj /O=Thief -addext subjectAltName="+san)
			s.ok(t, "openssl x509 -req -days 30 -copy_extensions copy -in "+name+".csr -out "+name+".crt -CA "+mesh+" -CAkey pki/authorities/mesh/tls.key")
			s.write(t, name+".crt", append(s.read(t, name+".crt"), s.read(t, mesh)...))
			for _, j := range judges(t, name+".crt", "V") {
				// GnuTLS 3.7 does not look at URIs.
				if name != "uri" || !strings.HasPrefix(j.line, "certtool ") {
					s.refused(t, j.why, j.line)
				}
			}
		})
	}
}
