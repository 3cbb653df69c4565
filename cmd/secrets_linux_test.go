package cmd_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
		{args: []string{"revoke", "b", "--passphrase-stdin"}, stdin: passphrase},
		{args: []string{"crl", "issuing", "--passphrase-file", pass}},
		{args: []string{"export", "p12", "a.example.com", "--out", "WORK/a.p12", "--password-file", word}},
		{args: []string{"export", "p12", "a.example.com", "--out", "WORK/b.p12", "--password-env", "SECRET"}, env: password},
		{args: []string{"export", "secret", "a.example.com", "--out", "WORK/manifests/a.yaml"}},
		{args: []string{"show", "WORK/a.p12", "--password-file", word}},
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
	if err != nil || len(keys) < 4 {
		t.Fatal(len(keys), "keys were found", err)
	}
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
		public := strings.HasPrefix(e.Name(), "ledger.db") || e.Name() == "mtlsctl.yaml" || filepath.Ext(e.Name()) == ".crt"
		for _, key := range keys {
			if public && bytes.Contains(data, key) {
				t.Errorf("%s holds a private key", path)
			}
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		private := e.Name() == "tls.key" || filepath.Ext(e.Name()) == ".p12" || strings.HasPrefix(e.Name(), "keys.db") ||
			bytes.Contains(data, []byte("PRIVATE KEY")) || strings.Contains(path, "/manifests/")
		if private && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		folder, err := os.Stat(filepath.Dir(path))
		if err != nil {
			return err
		}
		if e.Name() == "tls.key" && folder.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v", filepath.Dir(path), folder.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
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
	c.Env = append(os.Environ(), envNow+"="+pkitest.Clock().Format(time.RFC3339), "SECRET="+env)
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
