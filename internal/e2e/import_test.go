package e2e

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// A cluster's CA as kubeadm makes it, and a new person in it. OpenSSL makes the CA
// and judges what comes of it.
func TestImportKubeadm(t *testing.T) {
	t.Parallel()
	s := newShell(t, "openssl")
	s.write(t, "kubeadm.cnf", []byte(`[req]
prompt = no
distinguished_name = dn
x509_extensions = ca
[dn]
CN = kubernetes
[ca]
keyUsage = critical,digitalSignature,keyEncipherment,keyCertSign
basicConstraints = critical,CA:TRUE
subjectKeyIdentifier = hash
subjectAltName = DNS:kubernetes
`))
	s.ok(t, "openssl genrsa -traditional -out ca.key 2048")
	s.ok(t, "openssl req -x509 -new -config kubeadm.cnf -key ca.key -sha256 -days 3650 -set_serial 0 -out ca.crt")
	// The API server's own, made before.
	s.write(t, "apiserver.cnf", []byte("keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth\nbasicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:kubernetes,DNS:kubernetes.default,IP:10.96.0.1\n"))
	s.ok(t, "openssl req -new -newkey rsa:2048 -nodes -keyout apiserver.key -out apiserver.csr -subj /CN=kube-apiserver")
	s.ok(t, "openssl x509 -req -in apiserver.csr -CA ca.crt -CAkey ca.key -set_serial 5 -days 365 -extfile apiserver.cnf -out apiserver.crt")

	s.ok(t, "mtlsctl import-ca kubernetes --cert ca.crt --key ca.key").mustSay(t, "kubernetes", "signs by default", "lacks crl sign")
	s.ok(t, "mtlsctl issue client k8s-new-client --org system:masters --ca kubernetes --key rsa-2048 --out new")
	s.ok(t, "openssl verify -x509_strict -purpose sslclient -CAfile ca.crt new/tls.crt").mustSay(t, "new/tls.crt: OK")
	s.ok(t, "openssl x509 -in new/tls.crt -noout -subject -issuer -nameopt RFC2253").mustSay(t, "subject=CN=k8s-new-client,O=system:masters", "issuer=CN=kubernetes")
	s.ok(t, "openssl x509 -in new/tls.crt -noout -text").mustSay(t, "TLS Web Client Authentication", "Public-Key: (2048 bit)")
	if cert, key := s.ok(t, "openssl x509 -in new/tls.crt -noout -pubkey"), s.ok(t, "openssl pkey -in new/tls.key -pubout"); cert.stdout != key.stdout {
		t.Error("the key is another's")
	}
	s.ok(t, "mtlsctl import apiserver --cert apiserver.crt --key apiserver.key")
	s.ok(t, "mtlsctl renew apiserver")
	s.ok(t, "openssl verify -x509_strict -purpose sslserver -verify_hostname kubernetes.default -verify_ip 10.96.0.1 -CAfile ca.crt "+crt("apiserver"))
}

// CAs with keys as other programs and versions write them.
func TestImportOpenSSLKeys(t *testing.T) {
	t.Parallel()
	s := newShell(t, "openssl")
	s.write(t, "secret", []byte("correct horse\n"))
	const closed = " -passout file:secret"
	for name, lines := range map[string][]string{
		"pkcs8":         {"openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -aes256 -pass file:secret -out"},
		"pkcs8-sha1":    {"openssl genrsa -out plain-sha1 2048", "openssl pkcs8 -topk8 -in plain-sha1 -v2 des3 -v2prf hmacWithSHA1" + closed + " -out"},
		"rfc1421-rsa":   {"openssl genrsa -traditional -des3" + closed + " -out"},
		"rfc1421-ec":    {"openssl ecparam -genkey -name prime256v1 -noout -out plain-ec", "openssl ec -in plain-ec -aes256" + closed + " -out"},
		"parameters":    {"openssl ecparam -genkey -name secp384r1 -out"},
		"ed25519":       {"openssl genpkey -algorithm ED25519 -out"},
		"sec1-der":      {"openssl ecparam -genkey -name prime256v1 -noout -outform DER -out"},
		"pkcs8-der":     {"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -outform DER -out"},
		"encrypted-der": {"openssl genrsa -out plain-der 2048", "openssl pkcs8 -topk8 -in plain-der -outform DER" + closed + " -out"},
	} {
		key := name + ".key"
		for i, line := range lines {
			if i == len(lines)-1 {
				line += " " + key
			}
			s.ok(t, line)
		}
		out := "-out " + name + ".crt"
		if strings.HasSuffix(name, "-der") {
			out += " -outform DER"
		}
		s.ok(t, "openssl req -x509 -new -key "+key+" -passin file:secret -days 30 -subj /CN="+name+" "+out)
		line := "mtlsctl --pki pki-" + name + " import-ca ca --cert " + name + ".crt --key " + key
		first := s.read(t, key)
		block, _ := pem.Decode(first)
		encrypted := name == "encrypted-der" || block != nil && (strings.Contains(string(first), "ENCRYPTED"))
		passphrase := ""
		if encrypted {
			s.refused(t, "no passphrase is given", line)
			line += " --key-passphrase-file secret"
			passphrase = " --passphrase-file secret"
		}
		s.ok(t, line)
		s.ok(t, "mtlsctl --pki pki-"+name+" issue server localhost"+passphrase)
		s.ok(t, "mtlsctl --pki pki-"+name+" crl ca"+passphrase)
		ca := "pki-" + name + "/authorities/ca"
		s.ok(t, "openssl verify -purpose sslserver -crl_check -CRLfile "+ca+"/crl.pem -CAfile "+ca+"/tls.crt pki-"+name+"/certificates/localhost/tls.crt")
	}
}

// CAs that other programs made.
func TestImportOtherPrograms(t *testing.T) {
	t.Parallel()
	t.Run("mkcert", func(t *testing.T) {
		t.Parallel()
		s := newShell(t, "mkcert", "openssl")
		s.env = append(s.env, "CAROOT="+s.path("root"))
		s.ok(t, "mkcert -cert-file a.pem -key-file a.key localhost")
		s.ok(t, "mtlsctl import-ca mkcert --cert root/rootCA.pem --key root/rootCA-key.pem")
		s.ok(t, "mtlsctl import a --cert a.pem --key a.key")
		s.ok(t, "mtlsctl issue server localhost")
		s.ok(t, "openssl verify -purpose sslserver -CAfile root/rootCA.pem "+crt("localhost"))
	})
	t.Run("cfssl", func(t *testing.T) {
		t.Parallel()
		s := newShell(t, "cfssl", "cfssljson", "openssl")
		out := s.feed(t, `{"CN":"Test CA","key":{"algo":"ecdsa","size":256},"names":[{"O":"Acme"}]}`, "cfssl gencert -initca -")
		if out := s.feed(t, out.stdout, "cfssljson -bare ca"); out.code != 0 {
			t.Fatal(out)
		}
		s.ok(t, "mtlsctl import-ca acme --cert ca.pem --key ca-key.pem")
		s.ok(t, "mtlsctl issue client alice")
		s.ok(t, "openssl verify -purpose sslclient -CAfile ca.pem "+crt("alice"))
	})
	t.Run("minica", func(t *testing.T) {
		t.Parallel()
		s := newShell(t, "openssl")
		// Its shape: an intermediate-like root for one name, with an EC or RSA key.
		s.ok(t, "openssl ecparam -genkey -name secp384r1 -noout -out minica-key.pem")
		s.ok(t, "openssl req -x509 -new -key minica-key.pem -days 36500 -out minica.pem -addext basicConstraints=critical,CA:TRUE,pathlen:0"+
			" -addext keyUsage=critical,digitalSignature,keyCertSign -addext extendedKeyUsage=serverAuth,clientAuth", "-subj", "/CN=minica root ca 5ea1ab")
		s.ok(t, "mtlsctl import-ca minica --cert minica.pem --key minica-key.pem")
		s.ok(t, "mtlsctl issue server localhost")
		s.ok(t, "openssl verify -purpose sslserver -CAfile minica.pem "+crt("localhost"))
	})
	t.Run("step", func(t *testing.T) {
		t.Parallel()
		s := newShell(t, "openssl")
		s.write(t, "secret", []byte("correct horse\n"))
		// Its shape: a root and an intermediate, keys encrypted as RFC 1421 has it.
		for _, name := range []string{"root_ca", "intermediate_ca"} {
			s.ok(t, "openssl ecparam -genkey -name prime256v1 -noout -out plain")
			s.ok(t, "openssl ec -in plain -aes256 -passout file:secret -out "+name+"_key")
		}
		s.ok(t, "openssl req -x509 -new -key root_ca_key -passin file:secret -days 3650 -out root_ca.crt -addext basicConstraints=critical,CA:TRUE,pathlen:1"+
			" -addext keyUsage=critical,keyCertSign,cRLSign", "-subj", "/O=Acme/CN=Acme Root CA")
		s.write(t, "ext", []byte("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"))
		s.ok(t, "openssl req -new -key intermediate_ca_key -passin file:secret -out i.csr", "-subj", "/O=Acme/CN=Acme Intermediate CA")
		s.ok(t, "openssl x509 -req -in i.csr -CA root_ca.crt -CAkey root_ca_key -passin file:secret -days 3650 -extfile ext -out intermediate_ca.crt")
		s.ok(t, "mtlsctl import-ca root --cert root_ca.crt")
		s.ok(t, "mtlsctl import-ca issuing --cert intermediate_ca.crt --key intermediate_ca_key --key-passphrase-file secret")
		s.ok(t, "mtlsctl tree").mustSay(t, "`-- issuing")
		s.ok(t, "mtlsctl issue server localhost --passphrase-file secret")
		s.ok(t, "openssl verify -purpose sslserver -CAfile root_ca.crt -untrusted "+crt("localhost")+" "+crt("localhost"))
	})
	t.Run("easy-rsa", func(t *testing.T) {
		t.Parallel()
		s := newShell(t, "openssl")
		const easyrsa = "/usr/share/easy-rsa/easyrsa"
		if _, err := os.Stat(easyrsa); err != nil {
			pkitest.Program(t, "easyrsa")
		}
		program := easyrsa
		if path, ok := pkitest.LookProgram("easyrsa"); ok {
			program = path
		}
		s.env = append(s.env, "EASYRSA_BATCH=1", "EASYRSA_PKI="+s.path("easy"))
		for _, line := range []string{
			"init-pki", "build-ca nopass", "build-server-full server nopass", "build-client-full alice nopass", "build-client-full bob nopass",
			"revoke bob keyCompromise", "revoke alice superseded", "gen-crl", "build-client-full alice nopass",
		} {
			s.ok(t, program+" "+line)
		}
		s.ok(t, "mtlsctl import-ca office --cert easy/ca.crt --key easy/private/ca.key --crl easy/crl.pem")
		for range 2 {
			s.ok(t, "mtlsctl import --ledger easy-rsa easy")
		}
		s.ok(t, "mtlsctl list").mustSay(t, "server  imported", "alice   imported  office     valid", "bob     imported  office     revoked")
		s.ok(t, "mtlsctl crl office").mustSay(t, "2 entries")
		s.ok(t, "mtlsctl revoke server --reason cessationOfOperation")
		verify := "openssl verify -crl_check -CRLfile pki/authorities/office/crl.pem -CAfile easy/ca.crt "
		s.ok(t, verify+filepath.Join("easy", "issued", "alice.crt"))
		s.refused(t, "certificate revoked", verify+filepath.Join("easy", "issued", "server.crt"))
		s.ok(t, "openssl crl -in pki/authorities/office/crl.pem -noout -text").mustSay(t, "Key Compromise", "Superseded", "Cessation Of Operation")
	})
}

// What nobody should trust any more.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	s := newShell(t, "openssl")
	newCA := func(name, key, extensions string) string {
		s.ok(t, "openssl "+key+" -out "+name+".key")
		line := "openssl req -x509 -new -key " + name + ".key -days 30 -subj /CN=" + name + " -out " + name + ".crt -config /dev/null"
		s.write(t, name+".cnf", []byte("[req]\nprompt=no\ndistinguished_name=dn\nx509_extensions=x\n[dn]\nCN="+name+"\n[x]\n"+extensions))
		s.ok(t, strings.Replace(line, "/dev/null", name+".cnf", 1))
		return "mtlsctl import-ca ca --cert " + name + ".crt --key " + name + ".key"
	}
	const ec = "ecparam -genkey -name prime256v1 -noout"
	s.refused(t, "RSA of 1024 bits is too weak", newCA("weak", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024", "basicConstraints=CA:TRUE\n"))
	s.refused(t, "key usage lacks cert sign", newCA("usage", ec, "basicConstraints=CA:TRUE\nkeyUsage=digitalSignature\n"))
	s.refused(t, "not a CA certificate", newCA("leaf", ec, "basicConstraints=CA:FALSE\n"))
	if _, err := os.Stat(s.path("pki")); err == nil {
		t.Error("something is left behind")
	}

	// What it signed can be revoked, however weak.
	s.ok(t, newCA("strong", ec, "basicConstraints=critical,CA:TRUE\n"))
	s.ok(t, "openssl req -new -newkey rsa:1024 -nodes -keyout old.key -out old.csr -subj /CN=old")
	s.ok(t, "openssl x509 -req -in old.csr -CA strong.crt -CAkey strong.key -set_serial 7 -days 3 -out old.crt")
	s.refused(t, "too weak", "mtlsctl import old --cert old.crt --key old.key").mustSay(t, "leave --key out")
	s.ok(t, "mtlsctl import old --cert old.crt")
	s.ok(t, "mtlsctl revoke old").mustSay(t, "1 entry")
}
