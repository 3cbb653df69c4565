package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// java keeps a virtual machine from leaving statistics in the system's folder
// for temporary files, and lets it start sooner.
const java = "-XX:-UsePerfData -XX:TieredStopAtLevel=1 -Xshare:auto "

var keytool = "keytool " + strings.ReplaceAll(" "+java, " -X", " -J-X")

// TestKeytool has what TestKeyStoreMatrix has not: other keys, flags and targets.
func TestKeytool(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"keytool"},
		"issue client alice@example.com",
		"issue client ed25519 --key ed25519",
		"issue server web --key rsa-2048 --encoding pkcs1 localhost",
	)
	for _, c := range []struct {
		name, flags, alias string
		chain              int
	}{
		{"alice@example.com", "--for java --no-root", "alice@example.com", 2},
		{"alice@example.com", "--for java17 --friendly-name=mtls", "mtls", 3},
		{"web", "--encoding modern-2023", "web", 3},
		{"ed25519", "--for java17", "ed25519", 3},
	} {
		t.Run(strings.ReplaceAll(c.name+c.flags, " ", ""), func(t *testing.T) {
			s.ok(t, "mtlsctl export p12 "+c.name+" --force --out store.p12 --password-out store.password "+c.flags)
			out := s.ok(t, keytool+"-list -v -storetype PKCS12 -keystore store.p12 -storepass:file store.password")
			out.mustSay(t,
				"Your keystore contains 1 entry",
				"Alias name: "+c.alias+"\n",
				"Entry type: PrivateKeyEntry",
				fmt.Sprintf("Certificate chain length: %d\n", c.chain),
				"Owner: CN="+c.name+"\nIssuer: CN=Acme issuing CA, O=Acme",
			)
		})
	}
}

// TestJava is a client in Java with the p12 as its key store, which needs a JDK.
func TestJava(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"nginx"},
		"issue server web localhost 127.0.0.1",
		"issue client alice@example.com",
		"export p12 alice@example.com --for java17 --out alice.p12 --password-out alice.password",
		"issue client bob@example.com --key ed25519",
		"export p12 bob@example.com --for java17 --out bob.p12 --password-out bob.password",
	)
	if _, ok := pkitest.LookProgram("java"); !ok || !strings.Contains(s.run(t, "java "+java+"--list-modules").stdout, "jdk.compiler") {
		t.Skip("there is no Java compiler, which runs the client")
	}
	s.write(t, "Client.java", []byte(clientJava))
	_, addresses := s.nginx(t, site{name: "web"})
	client := "java " + java + "Client.java https://" + addresses[0] + " " + ca + " "
	out := s.ok(t, client+"alice.p12 alice.password bob.p12 bob.password none none")
	want := []string{"200 SUCCESS TLSv1.3 CN=alice@example.com", "200 SUCCESS TLSv1.3 CN=bob@example.com", "400 null"}
	if got := strings.Split(strings.TrimSpace(out.stdout), "\n"); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("the clients got %q; want %q\n%v", got, want, out)
	}
}

// clientJava prints the status and the first line that a server gives to each of
// the key stores that it is given.
const clientJava = `
import java.io.*;
import java.net.*;
import java.nio.file.*;
import java.security.*;
import java.security.cert.*;
import javax.net.ssl.*;

public class Client {
	public static void main(String[] args) throws Exception {
		KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
		trusted.load(null, null);
		try (InputStream in = new FileInputStream(args[1])) {
			trusted.setCertificateEntry("root", CertificateFactory.getInstance("X.509").generateCertificate(in));
		}
		TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
		trust.init(trusted);
		for (int i = 2; i < args.length; i += 2) {
			KeyManager[] keys = null;
			if (!args[i].equals("none")) {
				char[] password = Files.readAllLines(Path.of(args[i + 1])).get(0).toCharArray();
				KeyStore store = KeyStore.getInstance(new File(args[i]), password);
				KeyManagerFactory factory = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
				factory.init(store, password);
				keys = factory.getKeyManagers();
			}
			SSLContext context = SSLContext.getInstance("TLS");
			context.init(keys, trust.getTrustManagers(), null);
			HttpsURLConnection connection = (HttpsURLConnection) new URL(args[0]).openConnection(Proxy.NO_PROXY);
			connection.setSSLSocketFactory(context.getSocketFactory());
			int status = connection.getResponseCode();
			String line = null;
			if (status == 200) {
				line = new BufferedReader(new InputStreamReader(connection.getInputStream())).readLine();
			}
			System.out.println(status + " " + line);
		}
	}
}
`
