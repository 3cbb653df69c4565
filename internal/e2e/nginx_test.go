package e2e

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
)

// A site is a server block of nginx that demands client certificates.
type site struct {
	name     string // of its certificate
	mount    folder // where its certificate is, if it has no name
	depth    int    // ssl_verify_depth; 0: nginx's default, which is 1
	crl      string // ssl_crl; empty for none
	config   string // all directives of TLS, in place of those that the above make
	anyone   bool   // it demands no client certificate
	location string // what it does; empty: it answers
}

// nginx starts one nginx with all sites and returns their addresses.
func (s *shell) nginx(t *testing.T, sites ...site) (p *process, addresses []string) {
	t.Helper()
	onFreePorts(t, len(sites), func(free []string) error {
		addresses = free
		s.write(t, "nginx.conf", nginxConf(sites, addresses))
		p = s.start(t, "nginx -e stderr -c nginx.conf -p", s.dir+"/")
		// It says so when it has its ports, so that nobody is turned away.
		return p.await("nginx to be ready", func() bool { return strings.Contains(p.log(), "getrlimit(RLIMIT_NOFILE)") })
	})
	return p, addresses
}

// nginxConf is for one process, of any user. A site answers with the outcome of
// the verification, the protocol and the client's subject.
func nginxConf(sites []site, addresses []string) []byte {
	var b bytes.Buffer
	b.WriteString("daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr info;\nevents {}\n")
	b.WriteString("http {\naccess_log off;\nkeepalive_timeout 0;\ndefault_type text/plain;\nssl_protocols TLSv1.2 TLSv1.3;\n")
	for _, temp := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&b, "%s_temp_path tmp/%s;\n", temp, temp)
	}
	for i, site := range sites {
		fmt.Fprintf(&b, "server {\nlisten %s ssl;\n%s", addresses[i], site.directives())
		location := site.location
		if location == "" {
			location = "return 200 \"$ssl_client_verify $ssl_protocol $ssl_client_s_dn\\n\";"
		}
		fmt.Fprintf(&b, "location / { %s }\n}\n", location)
	}
	b.WriteString("}\n")
	return b.Bytes()
}

// directives are the site's for TLS.
func (site *site) directives() string {
	if site.config != "" {
		return site.config
	}
	var b strings.Builder
	at, trusted := issued(site.name), ca
	if site.name == "" {
		at, trusted = site.mount, site.mount.ca()
	}
	fmt.Fprintf(&b, "ssl_certificate %s;\nssl_certificate_key %s;\n", at.crt(), at.key())
	if !site.anyone {
		fmt.Fprintf(&b, "ssl_client_certificate %s;\nssl_verify_client on;\n", trusted)
	}
	if site.depth > 0 {
		fmt.Fprintf(&b, "ssl_verify_depth %d;\n", site.depth)
	}
	if site.crl != "" {
		fmt.Fprintf(&b, "ssl_crl %s;\n", site.crl)
	}
	return b.String()
}

// as is how curl presents a certificate.
func as(name string) string { return issued(name).as() }

func (f folder) as() string { return f.with("--cert ", " --key ") }

const curl = "curl -sS --max-time 60 --cacert " + ca + " "

func TestNginx(t *testing.T) {
	t.Parallel()
	names := " localhost 127.0.0.1"
	s := newAcme(t, []string{"nginx", "curl"},
		"issue server web-ec"+names,
		"issue server web-ed25519 --key ed25519"+names,
		"issue server web-rsa --key rsa-2048 --encoding pkcs1"+names,
		"issue client alice@example.com --org Acme",
		"issue client ed25519 --key ed25519",
		"issue client rsa --key rsa-2048 --encoding pkcs1",
		"issue client p384 --key ec-p384 --encoding sec1",
	)
	_, addresses := s.nginx(t, site{name: "web-ec"}, site{name: "web-ed25519"}, site{name: "web-rsa"})
	for client, subject := range map[string]string{
		"alice@example.com": "CN=alice@example.com,O=Acme",
		"ed25519":           "CN=ed25519",
		"rsa":               "CN=rsa",
		"p384":              "CN=p384",
	} {
		for _, address := range addresses {
			for _, version := range []string{"1.2", "1.3"} {
				out := s.ok(t, curl+as(client)+"--tlsv"+version+" --tls-max "+version+" https://"+address)
				if want := "SUCCESS TLSv" + version + " " + subject + "\n"; out.stdout != want {
					t.Errorf("nginx answers %q; want %q\n%v", out.stdout, want, out)
				}
			}
		}
	}
}

// What nginx says of a client that it turns away: on the page, and in its log.
const (
	noCertificate  = "No required SSL certificate was sent"
	badCertificate = "The SSL certificate error"

	// X509_V_ERR_..., as numbers, since OpenSSL changes the words.
	unknownIssuer = "client SSL certificate verify error: (20:"
	unknownFirst  = "client SSL certificate verify error: (21:"
	badPurpose    = "client SSL certificate verify error: (26:"
)

func TestNginxRefuses(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"nginx", "curl"},
		"issue server web localhost 127.0.0.1",
		"issue client alice@example.com",
		"--pki pki-other init-ca --org Other",
		"--pki pki-other issue client alice@example.com",
		"--pki pki-impostor init-ca --org Acme",
		"--pki pki-impostor issue client alice@example.com",
	)
	leaf, _ := pem.Decode(s.read(t, crt("alice@example.com")))
	s.write(t, "leaf.crt", pem.EncodeToMemory(leaf))
	p, addresses := s.nginx(t, site{name: "web"})

	ok := s.ok(t, curl+as("alice@example.com")+"https://"+addresses[0])
	ok.mustSay(t, "SUCCESS", "CN=alice@example.com")

	foreign := func(pki string) string {
		return strings.ReplaceAll(as("alice@example.com"), "pki/", pki+"/")
	}
	for _, c := range []struct{ name, identity, page, log string }{
		{"nobody", "", noCertificate, "client sent no required SSL certificate"},
		{"other CA", foreign("pki-other"), badCertificate, unknownIssuer},
		{"other CA of the same names", foreign("pki-impostor"), badCertificate, unknownIssuer},
		{"server certificate", as("web"), badCertificate, badPurpose},
		{"without the intermediate", "--cert leaf.crt --key " + key("alice@example.com") + " ", badCertificate, unknownFirst},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, version := range []string{"1.2", "1.3"} {
				mark := len(p.log())
				out := s.ok(t, curl+c.identity+"--tlsv"+version+" --tls-max "+version+" -w status=%{http_code} https://"+addresses[0])
				out.mustSay(t, "status=400", c.page)
				p.mustLog(t, mark, c.log)
			}
		})
	}
}

// TestCurlRefuses is the other side: a server that is not what it says.
func TestCurlRefuses(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"nginx", "curl"},
		"issue server api api.example.com",
		"issue server web localhost 127.0.0.1",
		"issue client alice@example.com",
		"issue client pretender --dns localhost --ip 127.0.0.1",
		"--pki pki-other init-ca --org Other",
	)
	_, addresses := s.nginx(t, site{name: "api"}, site{name: "web"}, site{name: "pretender"})
	api, web, pretender := addresses[0], addresses[1], addresses[2]
	_, port, _ := strings.Cut(api, ":")
	s.ok(t, curl+as("alice@example.com")+"--resolve api.example.com:"+port+":127.0.0.1 https://api.example.com:"+port).mustSay(t, "SUCCESS")
	s.ok(t, curl+as("alice@example.com")+"https://"+web).mustSay(t, "SUCCESS")

	const peerFailed = 60 // curl's exit status: the server's certificate is not good
	for _, c := range []struct{ name, line, why string }{
		{"other address", curl + "https://" + api, "127.0.0.1"},
		{"other name", curl + "--resolve www.example.com:" + port + ":127.0.0.1 https://www.example.com:" + port, "'www.example.com'"},
		{"other root", strings.ReplaceAll(curl, "pki/", "pki-other/") + "https://" + web, "verify_result=20"},
		{"client certificate", curl + "https://" + pretender, "verify_result=26"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := s.refused(t, c.why, c.line+" -w verify_result=%{ssl_verify_result} "+as("alice@example.com"))
			if out.code != peerFailed {
				t.Errorf("exit status %d; want %d\n%v", out.code, peerFailed, out)
			}
		})
	}
}

// TestNginxDepth has two intermediates, which takes more than nginx's default
// depth.
func TestNginxDepth(t *testing.T) {
	t.Parallel()
	s := newShell(t, "nginx", "curl")
	for _, line := range []string{
		"init-ca --root-only --org Acme",
		"init-ca division --parent root --path-len 1",
		"init-ca team --parent division",
		"issue server web localhost 127.0.0.1 --ca team",
		"issue client alice@example.com --ca team",
		"issue client bob@example.com --ca division",
	} {
		s.ok(t, "mtlsctl "+line)
	}
	p, addresses := s.nginx(t, site{name: "web"}, site{name: "web", depth: 2})
	one, two := addresses[0], addresses[1]
	s.ok(t, curl+as("alice@example.com")+"https://"+two).mustSay(t, "SUCCESS")
	s.ok(t, curl+as("bob@example.com")+"https://"+one).mustSay(t, "SUCCESS")

	mark := len(p.log())
	out := s.ok(t, curl+as("alice@example.com")+"-w status=%{http_code} https://"+one)
	out.mustSay(t, "status=400", badCertificate)
	// (20: or (22: by the version of OpenSSL. It is the depth: the other site took it.
	p.mustLog(t, mark, "client SSL certificate verify error: (2")
}
