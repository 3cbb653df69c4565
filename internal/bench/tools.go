package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// prepare sets up a CA in dir and every tool that can issue from it, and says
// why the others are left out.
func prepare(ctx context.Context, binary, dir string) ([]tool, []string, error) {
	mtlsctl := tool{
		name: subject, dir: dir, env: []string{"MTLSCTL_PKI="},
		commands: func(client string) [][]string { return [][]string{{binary, "issue", "client", client}} },
	}
	if _, err := mtlsctl.exec(ctx, "", []string{binary, "init-ca", "--org", "Bench"}); err != nil {
		return nil, nil, err
	}
	ca := filepath.Join(dir, "pki", "authorities", "issuing")
	caCert, caKey := filepath.Join(ca, "tls.crt"), filepath.Join(ca, "tls.key")

	empty := tool{name: floor, dir: dir}
	program := filepath.Join(dir, "empty")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "./internal/bench/testdata/empty")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w\n%s", build, err, output)
	}
	empty.commands = func(string) [][]string { return [][]string{{program}} }

	tools := []tool{mtlsctl, empty}
	var skipped []string
	for _, rival := range []struct {
		name    string
		program string
		setUp   func(ctx context.Context, t *tool, path, caCert, caKey string) error
	}{
		{"openssl", "openssl", setUpOpenSSL},
		{"openssl, one command", "openssl", setUpOpenSSL3},
		{"step", "step", setUpStep},
		{"mkcert", "mkcert", setUpMkcert},
		{"minica", "minica", setUpMinica},
		{"cfssl", "cfssl", setUpCFSSL},
		{"certstrap", "certstrap", setUpCertstrap},
	} {
		path, err := exec.LookPath(rival.program)
		if err != nil {
			skipped = append(skipped, rival.name+": not installed")
			continue
		}
		t := tool{name: rival.name, dir: filepath.Join(dir, strings.ReplaceAll(rival.name, " ", "-"))}
		if err := os.Mkdir(t.dir, 0o700); err != nil {
			return nil, nil, err
		}
		if err := rival.setUp(ctx, &t, path, caCert, caKey); err != nil {
			skipped = append(skipped, rival.name+": "+err.Error())
			continue
		}
		tools = append(tools, t)
	}
	return tools, skipped, nil
}

// setUpOpenSSL takes the two commands that every version has.
func setUpOpenSSL(ctx context.Context, t *tool, path, caCert, caKey string) error {
	extensions := filepath.Join(t.dir, "client.cnf")
	if err := os.WriteFile(extensions, []byte("basicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\n"), 0o600); err != nil {
		return err
	}
	t.commands = func(client string) [][]string {
		return [][]string{
			{path, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
				"-subj", "/CN=" + client, "-out", client + ".csr", "-keyout", client + ".key"},
			{path, "x509", "-req", "-CA", caCert, "-CAkey", caKey, "-CAcreateserial", "-CAserial", "ca.srl",
				"-days", "365", "-extfile", extensions, "-in", client + ".csr", "-out", client + ".crt"},
		}
	}
	return t.try(ctx)
}

// setUpOpenSSL3 takes the one command that does it all since OpenSSL 3, though
// few use it.
func setUpOpenSSL3(ctx context.Context, t *tool, path, caCert, caKey string) error {
	t.commands = func(client string) [][]string {
		return [][]string{{path, "req", "-x509", "-CA", caCert, "-CAkey", caKey,
			"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "365",
			"-subj", "/CN=" + client, "-addext", "extendedKeyUsage=clientAuth",
			"-addext", "basicConstraints=critical,CA:FALSE", "-out", client + ".crt", "-keyout", client + ".key"}}
	}
	return t.try(ctx)
}

func setUpStep(ctx context.Context, t *tool, path, caCert, caKey string) error {
	t.env = []string{"STEPPATH=" + t.dir}
	t.commands = func(client string) [][]string {
		return [][]string{{path, "certificate", "create", client, client + ".crt", client + ".key",
			"--ca", caCert, "--ca-key", caKey, "--kty", "EC", "--curve", "P-256", "--not-after", "8760h",
			"--no-password", "--insecure"}}
	}
	return t.try(ctx)
}

// setUpMkcert hands mkcert the CA under the names it looks for: its own would
// be RSA, and slower.
func setUpMkcert(ctx context.Context, t *tool, path, caCert, caKey string) error {
	t.env = []string{"CAROOT=" + t.dir}
	for name, from := range map[string]string{"rootCA.pem": caCert, "rootCA-key.pem": caKey} {
		data, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(t.dir, name), data, 0o600); err != nil {
			return err
		}
	}
	t.commands = func(client string) [][]string {
		return [][]string{{path, "-client", "-ecdsa", "-cert-file", client + ".crt", "-key-file", client + ".key", client}}
	}
	return t.try(ctx)
}

// setUpMinica leaves minica its own CA: it makes one when it first runs.
// Debian has another program of the name, for RSA only.
func setUpMinica(ctx context.Context, t *tool, path, _, _ string) error {
	// Its status says nothing: asking for help is an error to it.
	help, _ := exec.CommandContext(ctx, path, "-help").CombinedOutput()
	if !strings.Contains(string(help), "-domains") {
		return fmt.Errorf("%s is another program of that name", path)
	}
	t.commands = func(client string) [][]string {
		return [][]string{{path, "-ca-cert", "ca.pem", "-ca-key", "ca-key.pem", "-domains", client}}
	}
	return t.try(ctx)
}

// setUpCFSSL pipes into cfssljson, which writes the files: cfssl itself prints
// JSON that no server reads.
func setUpCFSSL(ctx context.Context, t *tool, path, caCert, caKey string) error {
	t.stdin = `{"CN":"client","hosts":["client.example.com"],"key":{"algo":"ecdsa","size":256}}`
	t.commands = func(client string) [][]string {
		return [][]string{
			{path, "gencert", "-loglevel=5", "-ca", caCert, "-ca-key", caKey, "-"},
			{filepath.Join(filepath.Dir(path), "cfssljson"), "-bare", client},
		}
	}
	t.pipe = true
	return t.try(ctx)
}

// setUpCertstrap has certstrap make its own CA: it signs only from its depot.
func setUpCertstrap(ctx context.Context, t *tool, path, _, _ string) error {
	if _, err := t.exec(ctx, "", []string{path, "--depot-path", "out", "init", "--common-name", "root", "--passphrase", "", "--curve", "P-256"}); err != nil {
		return err
	}
	t.commands = func(client string) [][]string {
		return [][]string{
			{path, "--depot-path", "out", "request-cert", "--common-name", client, "--passphrase", "", "--curve", "P-256"},
			{path, "--depot-path", "out", "sign", client, "--CA", "root"},
		}
	}
	return t.try(ctx)
}

// try makes one certificate that is not counted, so that a version that wants
// other flags is named and left out.
func (t *tool) try(ctx context.Context) error {
	_, _, err := t.issue(ctx, "try.example.com")
	return err
}
