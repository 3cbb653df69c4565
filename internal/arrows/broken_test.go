package arrows

import (
	"strings"
	"testing"
	"testing/fstest"
)

// TestBroken proves that the check can fail: each case is a source tree with
// one thing wrong, and the same tree put right.
func TestBroken(t *testing.T) {
	const ours = `"github.com/mtlsctl/mtlsctl/`
	tests := []struct {
		name string
		file string
		src  string
		want string // what the one problem says; empty: no problem
	}{
		{"arrow", "cmd/issue.go", `import _ ` + ours + `pki"`, ""},
		{"arrow turned round", "pki/sign.go", `import _ ` + ours + `cmd"`, "pki/sign.go:2:8: pki may not import cmd"},
		{"arrow past its neighbour", "cmd/mtlsctl/main.go", `import _ ` + ours + `pki"`, "cmd/mtlsctl may not import pki"},
		{"arrow on one system only", "profiles/x_windows.go", `import _ ` + ours + `pki"`, "profiles may not import pki"},
		{"room without a row", "internal/util/util.go", ``, "package internal/util has no row"},
		{"package at the top", "main.go", ``, "package . has no row"},
		{"pkitest in a test", "pki/sign_test.go", `import _ ` + ours + `internal/pkitest"`, ""},
		{"pkitest in the program", "pki/sign.go", `import _ ` + ours + `internal/pkitest"`, "pki may not import internal/pkitest"},
		{"arrow broken by a test", "pki/sign_test.go", `import _ ` + ours + `cmd"`, "pki may not import cmd"},
		{"external test", "pki/sign_test.go", `import _ ` + ours + `pki"`, ""},

		{"pki on the disk", "pki/load.go", `import _ "os"`, "pki works in memory and may not import os"},
		{"pki test on the disk", "pki/load_test.go", `import _ "os"`, ""},

		{"signer", "pki/sign.go", "import \"crypto/x509\"\nvar _ = x509.CreateCertificate", ""},
		{"second signer", "export/pem.go", "import \"crypto/x509\"\nvar _ = x509.CreateCertificate", "export may not use crypto/x509.CreateCertificate: only pki signs"},
		{"second signer, renamed", "export/pem.go", "import x \"crypto/x509\"\nvar _ = x.CreateRevocationList", "export may not use crypto/x509.CreateRevocationList"},
		{"second signer, dotted", "export/pem.go", "import . \"crypto/x509\"\nvar _ = CreateCertificate", "crypto/x509 is imported with a dot"},
		{"same name, another package", "export/pem.go", "import \"example.com/x509\"\nvar _ = x509.CreateCertificate", ""},
		{"same package, another function", "export/pem.go", "import \"crypto/x509\"\nvar _ = x509.ParseCertificate", ""},
		{"key reader", "internal/pkidir/key.go", `import _ "go.step.sm/crypto/pemutil"`, ""},
		{"second key reader", "cmd/show.go", `import _ "go.step.sm/crypto/pemutil"`, "cmd may not import go.step.sm/crypto/pemutil: only internal/pkidir reads keys"},
		{"second writer", "cmd/export.go", "import \"os\"\nfunc f() { _ = os.WriteFile(\"x\", nil, 0) }", "cmd may not use os.WriteFile: files are written through internal/atomicfile"},
		{"writer in a test", "cmd/export_test.go", "import \"os\"\nfunc f() { _ = os.WriteFile(\"x\", nil, 0) }", ""},
		{"package below a guarded one", "cmd/lint.go", `import _ "github.com/zmap/zlint/v3"`, "cmd may not import github.com/zmap/zlint/v3"},
		{"package beside a guarded one", "cmd/lint.go", `import _ "github.com/zmap/zlinter"`, ""},

		{"fixture", "cmd/testdata/x.go", `import _ "os/exec; not even Go`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := fstest.MapFS{tt.file: {Data: []byte("package x\n" + tt.src + "\n")}}
			problems, _, err := check(tree)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(problems, "\n")
			if tt.want == "" && got != "" {
				t.Errorf("problems in a sound tree:\n%s", got)
			}
			if len(problems) > 1 || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want one problem saying %q", got, tt.want)
			}
		})
	}
}

// TestUnparsable makes sure that a file that cannot be read is not passed over.
func TestUnparsable(t *testing.T) {
	tree := fstest.MapFS{"pki/sign.go": {Data: []byte("package")}}
	if _, _, err := check(tree); err == nil {
		t.Error("a file that does not parse was passed over")
	}
}
