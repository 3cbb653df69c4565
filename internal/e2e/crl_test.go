package e2e

import (
	"strings"
	"testing"
)

// revoked is what nginx logs of a client on a CRL: X509_V_ERR_CERT_REVOKED.
const revoked = "client SSL certificate verify error: (23:"

// noCRL is X509_V_ERR_UNABLE_TO_GET_CRL.
const noCRL = "client SSL certificate verify error: (3:"

func TestNginxCRL(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"nginx", "curl", "openssl"},
		"issue server web localhost 127.0.0.1",
		"issue client alice@example.com",
		"issue client bob@example.com",
		"issue client carol@example.com",
		"issue client phone",
		"crl root",
		"crl issuing",
		"export crl issuing --chain --out before.pem",
		"revoke alice@example.com --reason keyCompromise",
		"revoke carol@example.com --reason certificateHold",
		"export crl issuing --chain --out crl.pem",
		"export crl issuing --out alone.pem",
		"revoke carol@example.com --reason removeFromCRL",
		"export crl issuing --chain --out lifted.pem",
		"renew phone --revoke-old",
		"export crl issuing --chain --out renewed.pem",
	)
	p, addresses := s.nginx(t,
		site{name: "web"}, site{name: "web", crl: "before.pem"}, site{name: "web", crl: "crl.pem"}, site{name: "web", crl: "lifted.pem"},
		site{name: "web", crl: "alone.pem"}, site{name: "web", crl: "renewed.pem"})
	without, before, now, lifted, alone, renewed := addresses[0], addresses[1], addresses[2], addresses[3], addresses[4], addresses[5]
	for _, c := range []struct{ name, client, address, log string }{
		{"revoked", "alice@example.com", now, revoked},
		{"on hold", "carol@example.com", now, revoked},
		{"good", "bob@example.com", now, ""},
		{"hold taken back", "carol@example.com", lifted, ""},
		{"still revoked", "alice@example.com", lifted, revoked},
		{"older CRL", "alice@example.com", before, ""},
		{"no CRL", "alice@example.com", without, ""},
		{"renewed", "phone", renewed, ""},
		// Why there is --chain.
		{"without the root's", "bob@example.com", alone, noCRL},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, version := range []string{"1.2", "1.3"} {
				mark := len(p.log())
				out := s.ok(t, curl+as(c.client)+"--tlsv"+version+" --tls-max "+version+" -w status=%{http_code} https://"+c.address)
				if c.log == "" {
					out.mustSay(t, "SUCCESS TLSv"+version+" CN="+c.client, "status=200")
					continue
				}
				out.mustSay(t, "status=400", badCertificate)
				p.mustLog(t, mark, c.log)
			}
		})
	}
}

func TestOpenSSLCRL(t *testing.T) {
	t.Parallel()
	s := newShell(t, "openssl")
	for _, line := range []string{
		"init-ca --root-only --org Acme",
		"init-ca division --parent root --path-len 1",
		"init-ca team --parent division",
		"init-ca sales --parent division --key rsa-2048",
		"issue client alice@example.com --ca team",
		"issue client bob@example.com --ca team",
		"issue client carol@example.com --ca sales",
		"issue client dave@example.com --ca sales",
		"crl root",
		"crl division",
		"crl team",
		"revoke alice@example.com dave@example.com --reason superseded",
		"export crl team --chain --out team.pem",
		"export crl sales --chain --out sales.pem",
		"revoke sales --reason cACompromise",
		"export crl sales --chain --out fallen.pem",
		"export crl team --der --out team.crl",
	} {
		s.ok(t, "mtlsctl "+line)
	}
	for _, name := range []string{"root", "division", "team", "sales"} {
		file := "pki/authorities/" + name + "/"
		s.ok(t, "openssl crl -noout -verify -in "+file+"crl.pem -CAfile "+file+"tls.crt").mustSay(t, "verify OK")
	}
	s.ok(t, "openssl crl -inform DER -noout -verify -in team.crl -CAfile pki/authorities/team/tls.crt").mustSay(t, "verify OK")
	if out := s.run(t, "openssl crl -inform DER -noout -verify -in team.crl -CAfile pki/authorities/sales/tls.crt"); strings.Contains(out.all(), "verify OK") {
		t.Errorf("another authority has signed it\n%v", out)
	}

	verify := func(crls, name string) string {
		return "openssl verify -x509_strict -crl_check_all -purpose sslclient -CAfile " + ca + " -CRLfile " + crls + " -untrusted " + crt(name) + " " + crt(name)
	}
	s.ok(t, verify("team.pem", "bob@example.com")).mustSay(t, "OK")
	s.ok(t, verify("sales.pem", "carol@example.com")).mustSay(t, "OK")
	s.refused(t, "error 23 at 0 depth lookup", verify("team.pem", "alice@example.com"))
	s.refused(t, "error 23 at 0 depth lookup", verify("sales.pem", "dave@example.com"))
	s.refused(t, "error 23 at 1 depth lookup", verify("fallen.pem", "carol@example.com"))
	// Each authority speaks for its own.
	s.refused(t, "error 3 at 0 depth lookup", verify("team.pem", "carol@example.com"))
}

// A CRL with an issuing distribution point is for the certificates that name it:
// OpenSSL, and nginx by it, refuse the others; GnuTLS does not look.
func TestCRLPoint(t *testing.T) {
	t.Parallel()
	s := newShell(t, "openssl", "nginx", "curl", "certtool")
	const url, old = "http://pki.example.com/issuing.crl", "http://old.example.com/issuing.crl"
	setURLs := func(lines ...string) {
		t.Helper()
		s.write(t, "pki/mtlsctl.yaml", []byte("version: 1\ndefault: issuing\nauthorities:\n  issuing:\n    "+strings.Join(lines, "\n    ")+"\n"))
	}
	s.ok(t, "mtlsctl init-ca --org Acme")
	s.ok(t, "mtlsctl issue client none")
	s.ok(t, "mtlsctl crl root")
	setURLs("crl: [" + old + "]")
	s.ok(t, "mtlsctl issue client before")
	setURLs("crl: ["+url+"]", "idp: ["+url+", "+old+"]")
	for _, line := range []string{
		"issue server web localhost 127.0.0.1", "issue client good", "issue client bad", "revoke bad", "export crl issuing --chain --out crl.pem",
	} {
		s.ok(t, "mtlsctl "+line)
	}
	setURLs("crl: ["+url+"]", "idp: ["+url+"]")
	s.ok(t, "mtlsctl crl")
	s.ok(t, "mtlsctl export crl issuing --chain --out later.pem")

	s.ok(t, "openssl crl -noout -text -in pki/authorities/issuing/crl.pem -verify -CAfile pki/authorities/issuing/tls.crt").
		mustSay(t, "verify OK", "X509v3 Issuing Distribution Point: critical", "URI:"+url)
	verify := func(crls, name string) string {
		return "openssl verify -x509_strict -crl_check_all -purpose sslclient -CAfile " + ca + " -CRLfile " + crls + " -untrusted " + crt(name) + " " + crt(name)
	}
	for _, c := range []struct{ crls, name, refusal string }{
		{"crl.pem", "good", ""},
		{"crl.pem", "before", ""},
		{"crl.pem", "bad", "error 23 at 0 depth lookup"},
		{"crl.pem", "none", "error 44 at 0 depth lookup"},
		{"later.pem", "good", ""},
		{"later.pem", "before", "error 44 at 0 depth lookup"},
	} {
		if c.refusal == "" {
			s.ok(t, verify(c.crls, c.name)).mustSay(t, "OK")
			continue
		}
		s.refused(t, c.refusal, verify(c.crls, c.name))
	}
	for _, name := range []string{"good", "none"} {
		s.ok(t, "certtool --verify --load-ca-certificate "+ca+" --load-crl crl.pem --infile "+crt(name))
	}
	s.refused(t, "revoked", "certtool --verify --load-ca-certificate "+ca+" --load-crl crl.pem --infile "+crt("bad"))

	_, addresses := s.nginx(t, site{name: "web", crl: "crl.pem"})
	for name, status := range map[string]string{"good": "status=200", "before": "status=200", "bad": "status=400", "none": "status=400"} {
		s.ok(t, curl+as(name)+"-w status=%{http_code} https://"+addresses[0]).mustSay(t, status)
	}
}

// What comes of a backup is taken as what it was made of is, by a judge of its own.
func TestOpenSSLAfterRestore(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"openssl"},
		"issue client alice@example.com", "issue client bob@example.com", "crl root", "revoke alice@example.com",
		"backup pki.tgz", "--pki back restore pki.tgz", "--pki back issue client carol@example.com", "--pki back crl", "--pki back crl root",
		"--pki back export crl issuing --chain --out crl.pem")
	verify := func(pki, name string) string {
		cert := pki + "/certificates/" + name + "/tls.crt"
		return "openssl verify -x509_strict -crl_check_all -CAfile " + ca + " -CRLfile crl.pem -untrusted " + cert + " " + cert
	}
	s.ok(t, verify("back", "bob@example.com")).mustSay(t, "OK")
	s.ok(t, verify("back", "carol@example.com")).mustSay(t, "OK")
	s.ok(t, verify("pki", "bob@example.com")).mustSay(t, "OK")
	s.refused(t, "error 23 at 0 depth lookup", verify("back", "alice@example.com"))
}
