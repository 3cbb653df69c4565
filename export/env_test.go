package export

import (
	"encoding/base64"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
	"github.com/mtlsctl/mtlsctl/pki"
)

// variables reads NAME=base64 lines.
func variables(t *testing.T, data []byte, before string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, before), "\n"), "=")
		text, err := base64.StdEncoding.Strict().DecodeString(value)
		if !ok || err != nil || !strings.HasPrefix(line, before) {
			t.Fatalf("the line %q: %v", line, err)
		}
		all[name] = string(text)
	}
	return all
}

func TestEnv(t *testing.T) {
	t.Parallel()
	b := alice(t)
	want := func(prefix string) map[string]string {
		return map[string]string{
			prefix + "_TLS_CRT_B64": string(readFile(t, "bundle", "tls.crt")),
			prefix + "_TLS_KEY_B64": string(readFile(t, "bundle", "tls.key")),
			prefix + "_CA_CRT_B64":  string(readFile(t, "bundle", "ca.crt")),
		}
	}
	f := file(t, Env{}, b)
	if diff := cmp.Diff(want("ALICE_EXAMPLE_COM"), variables(t, f.Data, "")); diff != "" || f.Name != "alice-example-com.env" || !f.Private {
		t.Errorf("%s, private %v (-want +got):\n%s", f.Name, f.Private, diff)
	}
	f = file(t, Env{Prefix: "_X2", Shell: true}, b)
	if diff := cmp.Diff(want("_X2"), variables(t, f.Data, "export ")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	bare := *b
	bare.Key, bare.Roots = nil, nil
	f = file(t, Env{Prefix: "A"}, &bare)
	if got := variables(t, f.Data, ""); len(got) != 1 || got["A_TLS_CRT_B64"] == "" || f.Private {
		t.Errorf("without key and root: %v, private %v", got, f.Private)
	}
}

func TestEnvPrefix(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"api.example.com":    "API_EXAMPLE_COM",
		"alice@example.com":  "ALICE_EXAMPLE_COM",
		"*.example.com":      "EXAMPLE_COM",
		"10.0.0.7":           "CERT_10_0_0_7",
		"github":             "CERT_GITHUB",
		"github.example.com": "CERT_GITHUB_EXAMPLE_COM",
		"gitea.example.com":  "CERT_GITEA_EXAMPLE_COM",
		"githubs":            "GITHUBS",
		"Ångström":           "NGSTR_M",
		"å":                  "CERT",
		"":                   "CERT",
	} {
		got := EnvPrefix(in)
		if got != want {
			t.Errorf("EnvPrefix(%q) = %s, want %s", in, got, want)
		}
		if problem := prefixProblem(got); problem != "" {
			t.Errorf("the prefix of %q, %s: %s", in, got, problem)
		}
	}
	for prefix, suggestion := range map[string]string{
		"api": "API", "9A": "CERT_9A", "A-B": "A_B", "GITHUB": "CERT_GITHUB", "GITHUB_X": "CERT_GITHUB_X", "A B": "A_B", "é": "CERT",
	} {
		_, err := Env{Prefix: prefix}.Export(alice(t))
		wantOption(t, err, "prefix", suggestion)
	}
}

// A shell and base64 give back the files, for every name that is made to fit.
func TestEnvByShell(t *testing.T) {
	t.Parallel()
	sh, _ := pkitest.Program(t, "sh"), pkitest.Program(t, "base64")
	b := alice(t)
	for _, name := range []string{"api.example.com", "10.0.0.7", "_"} {
		prefix := EnvPrefix(name)
		for _, f := range []Env{{Prefix: prefix}, {Prefix: prefix, Shell: true}} {
			script := string(file(t, f, b).Data) + `for v in TLS_CRT TLS_KEY CA_CRT; do eval "printf %s \"\$` + prefix + `_${v}_B64\"" | base64 -d; done`
			out, err := exec.CommandContext(t.Context(), sh, "-c", script).CombinedOutput()
			key, _ := b.KeyPEM()
			if diff := cmp.Diff(string(b.ChainPEM())+string(key)+string(b.RootsPEM()), string(out)); diff != "" || err != nil {
				t.Errorf("%s: %v (-want +got):\n%s", prefix, err, diff)
			}
		}
	}
	if _, err := (Env{}).Export(&pki.Bundle{}); err == nil {
		t.Error("an empty bundle is no error")
	}
}
