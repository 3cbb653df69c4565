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
