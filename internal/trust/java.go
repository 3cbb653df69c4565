package trust

import (
	"context"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"strings"
)

// A StorePass is how keytool gets the password of Java's store: a file that has
// it in its first line, or an environment variable. It is never in argv.
type StorePass struct{ File, Env string }

// changeit is the password that the JDK's own store comes with (OpenJDK,
// keytool's manual page, "The cacerts Certificates File"). It keeps nothing
// secret.
const changeit = "changeit"

func (p StorePass) args() []string {
	switch {
	case p.File != "":
		return []string{"-storepass:file", p.File}
	case p.Env != "":
		return []string{"-storepass:env", p.Env}
	}
	return []string{"-storepass", changeit}
}

// java is a file cacerts of a JDK, or of a JRE.
type java struct {
	keytool string
	cacerts string
	pass    StorePass
	sudo    string
}

func (j *java) command(args ...string) command {
	// In English, and started as quickly as can be.
	all := append([]string{j.keytool, "-J-Duser.language=en", "-J-XX:TieredStopAtLevel=1", "-J-XX:-UsePerfData"}, args...)
	return command{args: append(append(all, "-keystore", j.cacerts), j.pass.args()...)}
}

func (j *java) read(ctx context.Context) (Contents, error) {
	out, err := j.command("-list", "-rfc").run(ctx)
	if err != nil {
		return Contents{}, err
	}
	return Contents{parseKeytoolList(string(out))}, nil
}

func (j *java) change(ctx context.Context, stdin []byte, args ...string) error {
	c := j.command(args...)
	c.stdin, c.sudo, c.env = stdin, j.sudo, j.pass.Env
	_, err := c.run(ctx)
	return err
}

func (j *java) add(ctx context.Context, cert *x509.Certificate) error {
	return j.change(ctx, toPEM(cert), "-importcert", "-noprompt", "-alias", nameOf(cert))
}

func (j *java) remove(ctx context.Context, cert *x509.Certificate, in Contents) error {
	for _, e := range in.of(cert) {
		if !e.alone {
			return fmt.Errorf("%w: in the store it belongs to the key %q", ErrElsewhere, e.name)
		}
		if err := j.change(ctx, nil, "-delete", "-alias", e.name); err != nil {
			return err
		}
	}
	return nil
}

// parseKeytoolList reads what `keytool -list -rfc` lists: for each entry its
// alias, its type, and the certificate in PEM. Only a trustedCertEntry is
// trusted; the others are keys with their certificates.
func parseKeytoolList(list string) (entries []entry) {
	const alias, kind, trusted = "Alias name: ", "Entry type: ", "trustedCertEntry"
	for part := range strings.SplitSeq("\n"+strings.ReplaceAll(list, "\r\n", "\n"), "\n"+alias) {
		name, rest, _ := strings.Cut(part, "\n")
		head, _, found := strings.Cut(rest, "-----BEGIN ")
		if !found {
			continue
		}
		_, is, _ := strings.Cut(head, kind)
		is, _, _ = strings.Cut(is, "\n")
		for _, der := range fromPEM([]byte(rest)) {
			entries = append(entries, entry{name: name, der: der, trusted: is == trusted, alone: is == trusted})
		}
	}
	return entries
}

// javaStores are the stores of the JDK that JAVA_HOME names, or else of all that
// are found; many share one, as those of Debian do.
func (m *Machine) javaStores() (stores []*Store) {
	seen := map[string]bool{}
	for _, home := range m.javaHomes() {
		for _, in := range []string{"lib", filepath.Join("jre", "lib")} {
			cacerts := filepath.Join(home, in, "security", "cacerts")
			if !exists(cacerts) {
				continue
			}
			cacerts = resolved(cacerts)
			if seen[cacerts] {
				continue
			}
			seen[cacerts] = true
			stores = append(stores, m.javaStore(home, cacerts))
		}
	}
	return stores
}

func (m *Machine) javaStore(home, cacerts string) *Store {
	s := &Store{Kind: Java, Path: cacerts, Tool: "keytool"}
	keytool := findIn("keytool", filepath.Join(home, "bin"), filepath.Join(home, "jre", "bin"))
	if keytool == "" {
		keytool = m.lookPath("keytool")
	}
	if keytool == "" {
		s.Missing, s.Package = "keytool", "a JDK"
	}
	s.NeedsRoot = canWrite(cacerts) != nil
	s.backend = &java{keytool, cacerts, m.StorePass, s.elevate(m)}
	return s
}

// javaHomes are the folders in which a JDK or a JRE is.
func (m *Machine) javaHomes() (homes []string) {
	if home := m.Getenv("JAVA_HOME"); home != "" {
		return []string{home}
	}
	for _, program := range []string{"java", "keytool"} {
		if file := m.lookPath(program); file != "" {
			homes = append(homes, filepath.Dir(filepath.Dir(resolved(file))))
		}
	}
	for _, pattern := range []string{
		m.at("/usr/lib/jvm/*"), m.at("/usr/java/*"), m.at("/Library/Java/JavaVirtualMachines/*/Contents/Home"),
		filepath.Join(quoteGlob(m.home()), ".sdkman", "candidates", "java", "*"), filepath.Join(quoteGlob(m.home()), ".jdks", "*"),
	} {
		found, _ := filepath.Glob(pattern) // the pattern is good
		homes = append(homes, found...)
	}
	return homes
}
