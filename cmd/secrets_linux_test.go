package cmd_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// TestSecretsStay gives commands secrets in every way there is, under a umask
// that keeps nothing from anybody, and looks for them: in what was printed, in
// every file, and in the process's arguments. It looks for private keys where
// only public things belong, too, and at the mode of every file with a key.
func TestSecretsStay(t *testing.T) {
	t.Parallel()
	const passphrase, password = "correct-horse-battery-4711", "staple-of-the-stable-0815"
	secrets := filepath.Join(t.TempDir(), "secrets")
	work := t.TempDir()
	if err := os.Mkdir(secrets, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"passphrase": passphrase, "password": password} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pass, word := filepath.Join(secrets, "passphrase"), filepath.Join(secrets, "password")
	changeManifest(t, work, 1)
	fakeKeytool(t, work)
	for _, tt := range []struct {
		args  []string
		stdin string
		env   string
	}{
		{args: []string{"init-ca", "--passphrase-file", pass}},
		{args: []string{"init-ca", "more", "--parent", "root", "--passphrase-env", "SECRET", "--parent-passphrase-file", pass}, env: passphrase},
		{args: []string{"issue", "server", "a.example.com", "--passphrase-stdin"}, stdin: passphrase},
		{args: []string{"issue", "client", "b", "--passphrase-env", "SECRET", "--out", "WORK/out"}, env: passphrase},
		{args: []string{"renew", "a.example.com", "--passphrase-file", pass}},
		{args: []string{"apply", "-f", "WORK/changed.yaml", "--out", "WORK/manifests"}},
		{args: []string{"crl", "issuing", "--passphrase-file", pass}},
		{args: []string{"export", "p12", "a.example.com", "--out", "WORK/a.p12", "--password-file", word}},
		{args: []string{"export", "p12", "a.example.com", "--out", "WORK/b.p12", "--password-env", "SECRET"}, env: password},
		{args: []string{"export", "secret", "a.example.com", "--out", "WORK/manifests/a.yaml"}},
		{args: []string{"export", "jks", "a.example.com", "--out", "WORK/a.jks", "--password-stdin"}, stdin: password},
		{args: []string{"export", "truststore", "root", "--out", "WORK/trust.store", "--password-env", "SECRET"}, env: password},
		{args: []string{"export", "mobileconfig", "b", "--out", "WORK/a.mobileconfig", "--password-file", word}},
		{args: []string{"export", "mobileconfig", "b", "--out", "WORK/open/b.mobileconfig", "--with-password", "--password-out", "WORK/open/password"}},
		{args: []string{"export", "kubeconfig", "b", "--server", "https://10.0.0.1:6443", "--out", "WORK/b.kubeconfig"}},
		{args: []string{"export", "kubeconfig", "b", "--server", "https://10.0.0.1:6443", "--merge", "WORK/config"}},
		{args: []string{"export", "apisix", "a.example.com", "--out", "WORK/a.json"}},
		{args: []string{"export", "issuer", "issuing", "--with-ca-key", "--out", "WORK/issuer.yaml", "--passphrase-file", pass}},
		{args: []string{"export", "env", "a.example.com", "--out", "WORK/a.env"}},
		{args: []string{"export", "a.example.com", "--for", "haproxy", "--out", "WORK/haproxy"}},
		{args: []string{"kubeadm", "WORK/cp1", "--node", "cp1", "--advertise-address", "10.0.0.11", "--kubernetes-version", "1.36.1", "--passphrase-env", "SECRET"}, env: passphrase},
		{args: []string{"trust", "status", "--store", "java", "--java-storepass-file", word}},
		{args: []string{"trust", "uninstall", "--store", "java", "--java-storepass-env", "SECRET"}, env: password},
		{args: []string{"renew", "cp1/apiserver", "a.example.com", "--export", "--passphrase-file", pass}},
		{args: []string{"show", "WORK/a.jks", "--password-file", word}},
		{args: []string{"show", "WORK/a.p12", "--password-file", word}},
		{args: []string{"revoke", "b", "--passphrase-stdin"}, stdin: passphrase},
		{args: []string{"list", "--history", "--json"}},
		{args: []string{"show", "a.example.com", "--json"}},
		{args: []string{"show", "WORK/out/tls.key"}},
		{args: []string{"log"}},
		{args: []string{"tree"}},
		// Wrong ones are not repeated, either.
		{args: []string{"issue", "server", "c.example.com", "--passphrase-stdin"}, stdin: password},
		{args: []string{"show", "WORK/a.p12", "--password-env", "SECRET"}, env: passphrase},
	} {
		output, cmdline := runOpen(t, work, tt.stdin, tt.env, tt.args)
		for _, secret := range []string{passphrase, password} {
			if strings.Contains(output, secret) || strings.Contains(cmdline, secret) {
				t.Errorf("mtlsctl %v gives a secret away:\n%s%s", tt.args, output, cmdline)
			}
		}
		if strings.Contains(output, "PRIVATE KEY") {
			t.Errorf("mtlsctl %v prints a key:\n%s", tt.args, output)
		}
	}

	keys, err := privateKeys(work)
	if err != nil || len(keys) < 15 {
		t.Fatal(len(keys), "keys were found", err)
	}
	generated, err := os.ReadFile(filepath.Join(work, "open", "password"))
	if err != nil {
		t.Fatal(err)
	}
	hidden := append(keys, spellings([]byte(passphrase))...)
	hidden = append(hidden, spellings([]byte(password))...)
	hidden = append(hidden, spellings(bytes.TrimSpace(generated))...)
	inPEM := spellings([]byte("PRIVATE KEY"))
	hidden = append(hidden, inPEM...)
	exported := 0
	err = filepath.WalkDir(work, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, secret := range []string{passphrase, password} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s holds a secret", path)
			}
		}
		public := strings.HasPrefix(e.Name(), "ledger.db") || slices.Contains([]string{"mtlsctl.yaml", "trust.store", "argv"}, e.Name()) || filepath.Ext(e.Name()) == ".crt"
		for _, secret := range hidden {
			if public && bytes.Contains(data, secret) {
				t.Errorf("%s holds a private key or a secret", path)
			}
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		private := e.Name() == "tls.key" || slices.Contains([]string{".p12", ".jks", ".mobileconfig"}, filepath.Ext(e.Name())) ||
			strings.HasPrefix(e.Name(), "keys.db") || e.Name() == "password" || strings.Contains(path, "/manifests/") ||
			slices.ContainsFunc(inPEM, func(s []byte) bool { return bytes.Contains(data, s) })
		if private && !strings.HasPrefix(path, filepath.Join(work, "pki")) {
			exported++
		}
		if private && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		folder, err := os.Stat(filepath.Dir(path))
		if err != nil {
			return err
		}
		if (e.Name() == "tls.key" || private && filepath.Dir(path) != work) && folder.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v", filepath.Dir(path), folder.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if exported < 30 {
		t.Errorf("%d files with keys were exported", exported)
	}
	argv, err := os.ReadFile(filepath.Join(work, "argv"))
	if err != nil || !bytes.Contains(argv, []byte("-storepass:file")) || !bytes.Contains(argv, []byte("-storepass:env")) {
		t.Errorf("keytool was called so, %v:\n%s", err, argv)
	}
}

// fakeKeytool makes a JDK whose keytool writes its arguments down.
func fakeKeytool(t *testing.T, work string) {
	t.Helper()
	for file, text := range map[string]string{
		"jdk/lib/security/cacerts": "",
		"jdk/bin/keytool":          "#!/bin/sh\necho \"$@\" >>'" + work + "/argv'\n",
	} {
		file = filepath.Join(work, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o700)); err != nil {
			t.Fatal(err)
		}
	}
}

// spellings are a text as it is, and as it is in base64 wherever that begins.
func spellings(text []byte) [][]byte {
	all := [][]byte{text}
	for before := range 3 {
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, before), text...))
		// Its first and last characters have bits of what is around it.
		from, to := (before*8+5)/6, (before+len(text))*8/6
		all = append(all, []byte(encoded[from:to]))
	}
	return all
}

// privateKeys returns the keys of the PKI directory as they would be found in a
// binary file: the 32 bytes of those on P-256.
func privateKeys(work string) (keys [][]byte, err error) {
	kept, err := readKeys(filepath.Join(work, "pki"))
	if err != nil {
		return nil, err
	}
	for _, k := range kept {
		// RFC 5915: the private key follows its version, as an octet string.
		if _, rest, ok := bytes.Cut(k, []byte{2, 1, 1, 4, 32}); ok {
			keys = append(keys, rest[:32])
		}
	}
	files, err := filepath.Glob(filepath.Join(work, "pki", "*", "*", "tls.key"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		der, err := readPEM(f)
		if err != nil {
			return nil, err
		}
		if _, rest, ok := bytes.Cut(der, []byte{2, 1, 1, 4, 32}); ok {
			keys = append(keys, rest[:32])
		}
	}
	return keys, nil
}

// runOpen runs mtlsctl under the umask 000 and returns what it printed, and its
// arguments as the system shows them to everybody.
func runOpen(t *testing.T, work, stdin, env string, args []string) (output, cmdline string) {
	t.Helper()
	exe, err := exec.LookPath("mtlsctl")
	if err != nil {
		t.Fatal(err)
	}
	// The process stops itself until its arguments were seen.
	c := exec.Command("sh", "-c", `umask 000; kill -STOP $$; exec "$0" "$@"`, exe, "--pki", filepath.Join(work, "pki"))
	for _, a := range args {
		c.Args = append(c.Args, strings.ReplaceAll(a, "WORK", work))
	}
	c.Env = append(os.Environ(), envNow+"="+pkitest.Clock().Format(time.RFC3339), "SECRET="+env, "JAVA_HOME="+filepath.Join(work, "jdk"))
	c.Stdin = strings.NewReader(stdin + "\n")
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(c.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatal("it did not stop", err)
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(c.Process.Pid, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	err = c.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	wrong := strings.HasPrefix(strings.Join(args, " "), "issue server c.") || env != "" && args[0] == "show"
	if (err != nil) != wrong {
		t.Errorf("mtlsctl %v: %v: %s", args, err, out.String())
	}
	return out.String(), string(data)
}

// TestNoSecretInFlags finds a flag whose value would be a secret: everybody can
// read the arguments of a process.
func TestNoSecretInFlags(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "docs", "reference", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	flag := regexp.MustCompile(`--[a-z0-9-]*(passphrase|password|secret)[a-z0-9-]*`)
	known := regexp.MustCompile(`-(file|env|stdin|prompt|out|length)$|^--secret-(labels|name|namespace|type)$|^--with-password$`)
	found := 0
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range flag.FindAllString(string(data), -1) {
			if strings.HasSuffix(name, "-") { // any of several: --passphrase-*
				continue
			}
			if found++; !known.MatchString(name) {
				t.Errorf("%s: %s", f, name)
			}
		}
	}
	if found == 0 {
		t.Error("no flag was found at all")
	}
}
