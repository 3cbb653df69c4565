package e2e

import (
	"bytes"
	"encoding/pem"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestOpenSSLVerify(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"openssl"},
		"issue server server localhost 127.0.0.1",
		"issue client client client@example.com",
		"issue peer peer localhost 127.0.0.1",
		"issue spiffe spiffe --spiffe spiffe://example.org/web",
		"issue server server-rsa --key rsa-2048 localhost",
		"issue client client-ed25519 --key ed25519",
		"--pki pki-other init-ca --org Acme",
	)
	verify := func(root, purpose, name string) string {
		return "openssl verify -x509_strict -purpose " + purpose + " -CAfile " + root + " -untrusted " + crt(name) + " "
	}
	const (
		badPurpose = "error 26 at 0 depth lookup"
		badName    = "error 62 at 0 depth lookup"
		badAddress = "error 64 at 0 depth lookup"
		badEmail   = "error 63 at 0 depth lookup"
		noIssuer   = "error 20 at 1 depth lookup"
	)
	for _, c := range []struct{ name, sslserver, sslclient string }{
		{"server", "", badPurpose},
		{"server-rsa", "", badPurpose},
		{"client", badPurpose, ""},
		{"client-ed25519", badPurpose, ""},
		{"peer", "", ""},
		{"spiffe", "", ""},
	} {
		for purpose, why := range map[string]string{"sslserver": c.sslserver, "sslclient": c.sslclient} {
			line := verify(ca, purpose, c.name) + crt(c.name)
			if why == "" {
				s.ok(t, line).mustSay(t, crt(c.name)+": OK")
			} else {
				s.refused(t, why, line)
			}
		}
	}
	for _, c := range []struct{ name, purpose, match, miss, why string }{
		{"server", "sslserver", "-verify_hostname localhost", "-verify_hostname www.localhost", badName},
		{"server", "sslserver", "-verify_ip 127.0.0.1", "-verify_ip 127.0.0.2", badAddress},
		{"client", "sslclient", "-verify_email client@example.com", "-verify_email other@example.com", badEmail},
	} {
		line := verify(ca, c.purpose, c.name)
		s.ok(t, line+c.match+" "+crt(c.name))
		s.refused(t, c.why, line+c.miss+" "+crt(c.name))
	}
	other := strings.Replace(ca, "pki/", "pki-other/", 1)
	s.refused(t, noIssuer, verify(other, "sslserver", "server")+crt("server"))
}

// serveOpenSSL starts a server that demands client certificates and shows on a
// page what it thinks of them. identity is its certificate, key and chain.
func (s *shell) serveOpenSSL(t *testing.T, identity string) (p *process, address string) {
	t.Helper()
	p = s.start(t, "openssl s_server -accept 127.0.0.1:0 -www -CAfile "+ca+" -Verify 2 -verify_return_error "+identity)
	const accept = "ACCEPT "
	if err := p.await("its port", func() bool {
		_, after, ok := strings.Cut(p.log(), accept)
		address, _, _ = strings.Cut(after, "\n")
		return ok && strings.Contains(after, "\n")
	}); err != nil {
		t.Fatal(err)
	}
	return p, strings.TrimSpace(address)
}

// fetchOpenSSL is what a client of [shell.serveOpenSSL] gets.
func (s *shell) fetchOpenSSL(t *testing.T, address, flags string) output {
	t.Helper()
	return s.feed(t, "GET / HTTP/1.0\r\n\r\n", "openssl s_client -ign_eof -verify_return_error -CAfile "+ca+" -connect "+address+" "+flags)
}

// combined is a file of `export pem --combined` that is certificate, key and
// chain at once, as HAProxy and MongoDB read it.
func combined(file string) string {
	return "-cert " + file + " -key " + file + " -cert_chain " + file + " "
}

func TestOpenSSLHandshake(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"openssl"},
		"issue server web localhost 127.0.0.1",
		"export pem web --combined --out web.pem",
		"issue client alice@example.com",
		"export pem alice@example.com --combined --out alice.pem",
		"--pki pki-other init-ca --org Other",
		"--pki pki-other issue client alice@example.com",
		"--pki pki-other export pem alice@example.com --combined --out other.pem",
	)
	var order []string
	for block, rest := pem.Decode(s.read(t, "web.pem")); block != nil; block, rest = pem.Decode(rest) {
		order = append(order, block.Type)
	}
	if got, want := strings.Join(order, ", "), "CERTIFICATE, CERTIFICATE, PRIVATE KEY"; got != want {
		t.Errorf("web.pem holds %s; want %s", got, want)
	}

	p, address := s.serveOpenSSL(t, combined("web.pem"))
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(version[1:], func(t *testing.T) {
			out := s.fetchOpenSSL(t, address, combined("alice.pem")+"-verify_hostname localhost "+version)
			out.mustSay(t, "HTTP/1.0 200 ok", "Subject: CN=alice@example.com", "Verify return code: 0 (ok)", "Verified peername: localhost")
			for _, c := range []struct{ name, flags, server, client string }{
				{"nobody", "", "peer did not return a certificate", "alert"},
				{"other CA", combined("other.pem"), "verify error:num=20", "alert unknown ca"},
				{"server certificate", combined("web.pem"), "verify error:num=26", "alert"},
				{"wrong host", combined("alice.pem") + "-verify_hostname www.example.com ", "alert bad certificate", "verify error:num=62"},
			} {
				mark := len(p.log())
				out := s.fetchOpenSSL(t, address, c.flags+version)
				if out.code == 0 || strings.Contains(out.stdout, "200 ok") {
					t.Errorf("%s: not refused\n%v", c.name, out)
				}
				out.mustSay(t, c.client)
				p.mustLog(t, mark, c.server)
			}
		})
	}
}

// blocks returns the PEM blocks of a text, without what stands between them.
func blocks(data []byte) (all []byte) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		all = append(all, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
	}
	return all
}

func TestOpenSSLPKCS12(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"openssl"},
		"issue client alice@example.com",
		"issue client rsa --key rsa-2048 --encoding pkcs1",
		"issue client p384 --key ec-p384 --encoding sec1",
		"issue client ed25519 --key ed25519",
	)
	major, minor := s.opensslVersion(t)
	if major < 3 {
		t.Skip("the algorithms of OpenSSL 3 are what this is about")
	}
	pbmac1 := major > 3 || minor >= 4
	s.write(t, "wrong.password", []byte("not the password\n"))
	for _, c := range []struct{ encoding, reader, algorithm string }{
		{"compat", "openssl", "pbeWithSHA1And3-KeyTripleDES-CBC"},
		{"modern-2023", "openssl", "AES-256-CBC"},
		{"modern-2026", "openssl3.4", "AES-256-CBC"},
	} {
		for _, name := range []string{"alice@example.com", "rsa", "p384", "ed25519"} {
			file := name + "-" + c.encoding
			s.ok(t, "mtlsctl export p12 "+name+" --for "+c.reader+" --encoding "+c.encoding+" --out "+file+".p12 --password-out "+file+".password")
			// Without -legacy: these are algorithms that OpenSSL has by default.
			read := "openssl pkcs12 -in " + file + ".p12 -nodes -passin file:"
			if c.encoding == "modern-2026" && !pbmac1 {
				s.refused(t, "PBMAC1", read+file+".password")
				continue
			}
			certificates := s.ok(t, read+file+".password -info -nokeys")
			certificates.mustSay(t, c.algorithm, "friendlyName: "+name)
			want := append(blocks(s.read(t, crt(name))), blocks(s.read(t, ca))...)
			if got := blocks([]byte(certificates.stdout)); !bytes.Equal(got, want) {
				t.Errorf("%s.p12 holds\n%s\nwant certificate, chain and root\n%s", file, got, want)
			}
			keys := s.ok(t, read+file+".password -nocerts")
			keys.mustSay(t, "friendlyName: "+name)
			s.write(t, file+".key", blocks([]byte(keys.stdout)))
			inFile, inPKI := s.ok(t, "openssl pkey -pubout -in "+file+".key"), s.ok(t, "openssl pkey -pubout -in "+key(name))
			if inFile.stdout != inPKI.stdout {
				t.Errorf("the key in %s.p12 is not that of %s:\n%v\n%v", file, name, inFile, inPKI)
			}
			s.refused(t, "invalid password", read+"wrong.password")
		}
	}
}

// opensslVersion returns 3, 4 of "OpenSSL 3.4.1 11 Feb 2025".
func (s *shell) opensslVersion(t *testing.T) (major, minor int) {
	t.Helper()
	words := strings.Fields(s.ok(t, "openssl version").stdout)
	if len(words) < 2 || words[0] != "OpenSSL" {
		t.Skipf("this is not OpenSSL, but %s", words)
	}
	numbers := strings.Split(words[1], ".")
	if len(numbers) < 2 {
		t.Fatalf("unknown version %s", words[1])
	}
	major, err := strconv.Atoi(numbers[0])
	if err != nil {
		t.Fatal(err)
	}
	minor, err = strconv.Atoi(numbers[1])
	if err != nil {
		t.Fatal(err)
	}
	return major, minor
}

// TestOpenSSLRequest signs the requests that OpenSSL makes.
func TestOpenSSLRequest(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"openssl"},
		"issue client alice@example.com",
		"export pem alice@example.com --combined --out alice.pem",
	)
	request := func(name, newkey, addext string) {
		s.ok(t, "openssl req -new -nodes -keyout "+name+".key -out "+name+".csr -newkey "+newkey+
			" -addext subjectAltName=DNS:localhost,IP:127.0.0.1 "+addext+" -subj", "/C=DE/O=Their Company/CN="+name)
	}
	for name, newkey := range map[string]string{
		"ec":      "ec -pkeyopt ec_paramgen_curve:P-256",
		"rsa":     "rsa:2048",
		"ed25519": "ed25519",
	} {
		t.Run(name, func(t *testing.T) {
			request(name, newkey, "")
			s.ok(t, "mtlsctl issue server "+name+" --csr "+name+".csr")
			if _, err := os.Lstat(s.path(key(name))); !os.IsNotExist(err) {
				t.Errorf("there is a key that is not ours to have: %v", err)
			}
			_, address := s.serveOpenSSL(t, "-cert "+crt(name)+" -key "+name+".key -cert_chain "+crt(name))
			out := s.fetchOpenSSL(t, address, combined("alice.pem")+"-verify_ip 127.0.0.1")
			out.mustSay(t, "HTTP/1.0 200 ok", "Subject: CN=alice@example.com", "Verify return code: 0 (ok)")
		})
	}

	for name, c := range map[string]struct{ newkey, addext, why string }{
		"weak":    {"rsa:1024", "", "1024"},
		"p224":    {"ec -pkeyopt ec_paramgen_curve:secp224r1", "", "P-224"},
		"wantsca": {"ed25519", "-addext basicConstraints=critical,CA:TRUE", "it asks for an authority"},
	} {
		t.Run(name, func(t *testing.T) {
			request(name, c.newkey, c.addext)
			s.mustRefuseRequest(t, name, c.why)
		})
	}
	t.Run("changed", func(t *testing.T) {
		block, _ := pem.Decode(s.read(t, "ec.csr"))
		at := bytes.Index(block.Bytes, []byte("Their"))
		if at < 0 {
			t.Fatal("the request does not hold the subject's text")
		}
		block.Bytes[at] = 't'
		s.write(t, "changed.csr", pem.EncodeToMemory(block))
		s.mustRefuseRequest(t, "changed", "signature")
	})
}

func (s *shell) mustRefuseRequest(t *testing.T, name, why string) {
	t.Helper()
	s.refused(t, why, "mtlsctl issue server "+name+" --csr "+name+".csr")
	if _, err := os.Lstat(s.path("pki", "certificates", name)); !os.IsNotExist(err) {
		t.Errorf("the refused request left something: %v", err)
	}
}
