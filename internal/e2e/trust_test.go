package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// user is the shell of somebody whose home has stores of its own: a profile of
// Firefox, the database of Chromium, and a JDK, so that those of this machine are
// not touched. Only the system's store is shared.
func (s *shell) user(t *testing.T, home string) *shell {
	t.Helper()
	u := &shell{dir: s.dir}
	u.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.path(home), "TMPDIR=" + s.path("tmp"), "LC_ALL=C", "JAVA_HOME=" + s.path(home, "jdk"),
	}
	if err := os.MkdirAll(s.path(home), 0o700); err != nil {
		t.Fatal(err)
	}
	return u
}

const firefoxProfile = "/.mozilla/firefox/abc.default-release"

// listing is what certutil says is in a database.
func (s *shell) listing(t *testing.T, dir string) string {
	t.Helper()
	return s.ok(t, "certutil -L -d sql:"+dir).stdout
}

func TestTrustNSS(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"certutil"}, "issue server web localhost")
	u := s.user(t, "nss")
	const stores = " --store firefox,chromium"
	s.nssDB(t, "nss"+firefoxProfile, "")
	before := s.listing(t, "nss"+firefoxProfile)

	u.refused(t, "there is no terminal", "mtlsctl trust install"+stores)
	if got := s.listing(t, "nss"+firefoxProfile); got != before {
		t.Errorf("refused, it changed the store to\n%s", got)
	}
	u.ok(t, "mtlsctl trust install --yes"+stores)
	u.ok(t, "mtlsctl trust install --yes"+stores).mustSay(t, "trusted already")
	u.ok(t, "mtlsctl trust status --check"+stores)
	for _, dir := range []string{"nss" + firefoxProfile, "nss/.pki/nssdb"} {
		db := " -d sql:" + dir + " "
		if got := s.listing(t, dir); strings.Count(got, "mtlsctl-acme-root-ca-") != 1 || strings.Count(got, " C,,") != 1 {
			t.Errorf("%s lists\n%s", dir, got)
		}
		s.ok(t, "certutil -A -t ,, -i pki/authorities/issuing/tls.crt"+db+"-n issuing")
		s.ok(t, "certutil -A -t ,, -i "+crt("web")+db+"-n web")
		s.ok(t, "certutil -V -e -u V -n web"+db).mustSay(t, "certificate is valid")
	}

	// Under another name, put there by somebody else; with others beside it.
	s.ok(t, "mtlsctl --pki other init-ca --org Acme")
	s.ok(t, "certutil -A -t CT,C, -n mtlsctl -i other/authorities/root/tls.crt -d sql:nss"+firefoxProfile)
	u.ok(t, "mtlsctl trust status"+stores).mustSay(t, "another of this name is trusted")
	u.ok(t, "mtlsctl trust uninstall --yes"+stores)
	u.ok(t, "mtlsctl trust uninstall --yes"+stores).mustSay(t, "not there")
	if out := u.run(t, "mtlsctl trust status --check"+stores); out.code != 3 {
		t.Errorf("exit status %d\n%v", out.code, out)
	}
	for _, dir := range []string{"nss" + firefoxProfile, "nss/.pki/nssdb"} {
		db := " -d sql:" + dir + " "
		s.refused(t, "certificate is invalid", "certutil -V -e -u V -n web"+db)
		s.ok(t, "certutil -D -n web"+db)
		s.ok(t, "certutil -D -n issuing"+db)
	}
	u.ok(t, "mtlsctl --pki other trust uninstall --yes --store firefox")
	for _, dir := range []string{"nss" + firefoxProfile, "nss/.pki/nssdb"} {
		if got := s.listing(t, dir); got != before {
			t.Errorf("afterwards %s lists\n%s\nwant\n%s", dir, got, before)
		}
	}

	// A certificate that was there as one of many gets what it lacks.
	s.ok(t, "certutil -A -t p,, -n distrusted -i "+ca+" -d sql:nss"+firefoxProfile)
	u.ok(t, "mtlsctl trust status --store firefox").mustSay(t, "not trusted")
	u.ok(t, "mtlsctl trust install --yes --store firefox")
	if got := s.listing(t, "nss"+firefoxProfile); !hasRow(got, "distrusted", "C,,") {
		t.Errorf("it lists\n%s", got)
	}
}

// TestTrustNSSPassword is a profile with a primary password and nobody to give
// it: nothing of the root may stay behind.
func TestTrustNSSPassword(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"certutil", "setsid"})
	u := s.user(t, "locked")
	dir := "locked" + firefoxProfile
	if err := os.MkdirAll(s.path(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	s.write(t, "password", []byte("primary\n"))
	s.ok(t, "certutil -N -f password -d sql:"+dir)
	before := s.listing(t, dir)
	s.nssDB(t, "locked/.pki/nssdb", "")
	// setsid takes away the terminal, if there is one, on which certutil asks.
	out := u.refused(t, "it has a primary password", "setsid -w "+mtlsctl+" trust install --yes --store firefox,chromium")
	out.mustSay(t, "firefox ~"+firefoxProfile, "not changed", "~/.pki/nssdb", "trusted")
	if out.code != 1 {
		t.Errorf("exit status %d\n%v", out.code, out)
	}
	if got := s.listing(t, dir); got != before {
		t.Errorf("it left behind\n%s", got)
	}
	if got := s.listing(t, "locked/.pki/nssdb"); !strings.Contains(got, "mtlsctl-acme-root-ca-") {
		t.Errorf("the other store was not changed:\n%s", got)
	}
}

func TestTrustChromium(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"chromium", "nginx", "certutil"}, "issue server web localhost")
	_, addresses := s.nginx(t, site{name: "web"})
	_, port, _ := strings.Cut(addresses[0], ":")
	url := "https://localhost:" + port
	u := s.user(t, "browser")
	const refused = "ERR_CERT_AUTHORITY_INVALID"
	s.chromium(t, "browser", url).mustSay(t, refused)
	u.ok(t, "mtlsctl trust install --yes --store chromium")
	s.chromium(t, "browser", url).mustSay(t, noCertificate)
	u.ok(t, "mtlsctl trust uninstall --yes --store chromium")
	s.chromium(t, "browser", url).mustSay(t, refused)
}

// cacerts makes a JDK that has nothing but a store and the real keytool.
func (s *shell) cacerts(t *testing.T, jdk string, store []byte) {
	t.Helper()
	for _, dir := range []string{"bin", "lib/security"} {
		if err := os.MkdirAll(s.path(jdk, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.write(t, jdk+"/lib/security/cacerts", store)
	if err := os.Symlink(pkitest.Program(t, "keytool"), s.path(jdk, "bin", "keytool")); err != nil {
		t.Fatal(err)
	}
}

func TestTrustJava(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"keytool", "nginx"}, "issue server web localhost")
	real, err := filepath.EvalSymlinks(pkitest.Program(t, "keytool"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(real)), "lib", "security", "cacerts"))
	if err != nil {
		t.Skip("the JDK has no store: ", err)
	}
	u := s.user(t, "java")
	s.cacerts(t, "java/jdk", store)
	_, addresses := s.nginx(t, site{name: "web"})
	_, port, _ := strings.Cut(addresses[0], ":")
	cacerts := s.path("java", "jdk", "lib", "security", "cacerts")
	list := func() string {
		return s.ok(t, keytool+"-list -storepass changeit -keystore "+cacerts).stdout
	}
	connect := func() string { return "" }
	if _, ok := pkitest.LookProgram("java"); ok && strings.Contains(s.run(t, "java "+java+"--list-modules").stdout, "jdk.compiler") {
		s.write(t, "Get.java", []byte(getJava))
		connect = func() string {
			return s.ok(t, "java "+java+"-Djavax.net.ssl.trustStore="+cacerts+" Get.java https://localhost:"+port).stdout
		}
	}
	mustConnect := func(want string) {
		t.Helper()
		if got := connect(); got != "" && got != want+"\n" {
			t.Errorf("a program in Java says %q; want %q", got, want)
		}
	}

	before := list()
	mustConnect("refused")
	u.ok(t, "mtlsctl trust install --yes --store java")
	if got := list(); strings.Count(got, "mtlsctl-acme-root-ca-") != 1 {
		t.Errorf("the store has\n%s", got)
	}
	mustConnect("400")
	u.ok(t, "mtlsctl trust status --check --store java")
	u.ok(t, "mtlsctl trust uninstall --yes --store java")
	if got := list(); sameLines(got) != sameLines(before) {
		t.Errorf("the store has other entries than before:\n%s", got)
	}
	mustConnect("refused")

	t.Run("password", func(t *testing.T) {
		s.write(t, "pass", []byte("another one\n"))
		s.write(t, "wrong", []byte("the wrong one\n"))
		s.ok(t, keytool+"-storepasswd -storepass changeit -keystore "+cacerts+" -new", "another one")
		u.refused(t, "password", "mtlsctl trust install --yes --store java")
		u.refused(t, "password", "mtlsctl trust install --yes --store java --java-storepass-file wrong")
		u.ok(t, "mtlsctl trust install --yes --store java --java-storepass-file pass")
		u.env = append(u.env, "PASS=another one")
		u.ok(t, "mtlsctl trust uninstall --yes --store java --java-storepass-env PASS").mustSay(t, "taken out")
	})
}

// sameLines is a listing whose order does not count: that of a Java store is
// not kept.
func sameLines(text string) string {
	return strings.Join(slices.Sorted(strings.Lines(text)), "")
}

// getJava prints the status of a page, by what Java trusts, or "refused".
const getJava = `
import java.net.*;
import javax.net.ssl.*;

public class Get {
	public static void main(String[] args) throws Exception {
		HttpsURLConnection c = (HttpsURLConnection) new URL(args[0]).openConnection(Proxy.NO_PROXY);
		try {
			System.out.println(c.getResponseCode());
		} catch (SSLHandshakeException e) {
			System.out.println("refused");
		}
	}
}
`

// systemSh runs in a mount namespace, in which the folders of the system's store
// are copies: what becomes of them is not seen outside.
const systemSh = `
set -e
mkdir local hooks
cp -a /etc/ssl/certs certs
mount --bind local /usr/local/share/ca-certificates
mount --bind certs /etc/ssl/certs
mount --bind hooks /etc/ca-certificates/update.d
update-ca-certificates --fresh >/dev/null
state() { ls -l /usr/local/share/ca-certificates; ls /etc/ssl/certs; cat /etc/ssl/certs/ca-certificates.crt; }
look() { echo "$1: $(curl --silent --output /dev/null --write-out '%{http_code}' "$URL" || echo "curl $?")"; }
state >before
look before
umask 077
"$MTLSCTL" trust install --yes --store system
look installed
"$MTLSCTL" trust status --check --store system
"$MTLSCTL" trust install --yes --store system
look again
stat --format 'mode %a' /usr/local/share/ca-certificates/*
"$MTLSCTL" trust uninstall --yes --store system
look uninstalled
"$MTLSCTL" trust uninstall --yes --store system
state >after
cmp before after && echo "as before"
`

func TestTrustSystem(t *testing.T) {
	t.Parallel()
	s := newAcme(t, []string{"curl", "nginx", "unshare"}, "issue server web localhost")
	if out := s.run(t, "unshare -rm mount --bind tmp tmp"); out.code != 0 {
		t.Skip("this machine lets nobody have a mount namespace: ", out.all())
	}
	if _, err := os.Stat("/usr/local/share/ca-certificates"); err != nil {
		t.Skip("the system's store is not laid out as Debian's: ", err)
	}
	_, addresses := s.nginx(t, site{name: "web"})
	_, port, _ := strings.Cut(addresses[0], ":")
	u := s.user(t, "root")
	u.env = append(u.env, "PATH="+os.Getenv("PATH")+":/usr/sbin", "MTLSCTL="+mtlsctl, "URL=https://localhost:"+port)
	s.write(t, "system.sh", []byte(systemSh))
	out := u.ok(t, "unshare -rm sh system.sh")
	for _, want := range []string{
		"before: 000curl 60\n", "installed: 400\n", "trusted\n", "trusted already\n", "again: 400\n", "mode 644\n",
		"taken out\n", "uninstalled: 000curl 60\n", "not there\n", "as before\n",
	} {
		if !strings.Contains(out.stdout, want) {
			t.Errorf("it does not say %q\n%v", want, out)
		}
	}
}
