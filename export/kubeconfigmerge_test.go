package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kubectlConfig is as `kubectl config` writes it.
const kubectlConfig = `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: QQ==
    server: https://one.example.com
  name: one
contexts:
- context:
    cluster: one
    namespace: "123"
    user: bob
  name: bob@one
current-context: bob@one
kind: Config
preferences: {}
users:
- name: bob
  user:
    token: sesame
`

// handConfig is one that somebody keeps by hand.
const handConfig = `# mine
apiVersion: v1
kind: Config
x-unknown: {a: [1, 2.50, 0x10, 'no']}
clusters:
    # the first
    - name: one # in Paris
      cluster:
          server: https://one.example.com
          proxy-url: socks5://localhost:1080
      extra: 0777
# people
users:
    - name: bob
      user:
          exec:
              command: get-token
              args: ["--a", "b"]
              env: null
          # about bob
    # the end of users
# the end
`

// paths keeps the texts short.
func paths() Kubeconfig {
	return Kubeconfig{Server: clusterURL, Paths: &KubeconfigPaths{Certificate: "/p/tls.crt", Key: "/p/tls.key", CA: "/p/ca.crt"}}
}

func merge(t *testing.T, f Kubeconfig, text string, o KubeconfigMerge) string {
	t.Helper()
	out, err := f.Merge([]byte(text), alice(t), o)
	if err != nil {
		t.Fatal(err)
	}
	// A second time there is nothing to do.
	again, err := f.Merge(out, alice(t), KubeconfigMerge{})
	if err != nil || !bytes.Equal(out, again) {
		t.Errorf("the second time: %v\n%s", err, cmp.Diff(string(out), string(again)))
	}
	return string(out)
}

func TestMergeKubectl(t *testing.T) {
	t.Parallel()
	got := merge(t, paths(), kubectlConfig, KubeconfigMerge{})
	want := strings.NewReplacer(
		"contexts:\n", "- cluster:\n    certificate-authority: /p/ca.crt\n    server: https://10.0.0.1:6443\n  name: kubernetes\ncontexts:\n",
		"current-context:", "- context:\n    cluster: kubernetes\n    user: alice@example.com\n  name: alice@example.com@kubernetes\ncurrent-context:",
	).Replace(kubectlConfig) + "- name: alice@example.com\n  user:\n    client-certificate: /p/tls.crt\n    client-key: /p/tls.key\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	got = merge(t, paths(), kubectlConfig, KubeconfigMerge{SetCurrent: true})
	want = strings.Replace(want, "current-context: bob@one", "current-context: alice@example.com@kubernetes", 1)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestMergeHand(t *testing.T) {
	t.Parallel()
	golden(t, "kubeconfig-merged.yaml", []byte(merge(t, paths(), handConfig, KubeconfigMerge{})))
}

// What is written for the first time is what is merged into nothing.
func TestMergeIntoNothing(t *testing.T) {
	t.Parallel()
	want := string(file(t, paths(), alice(t)).Data)
	for text, before := range map[string]string{"": "", "\n": "", "# mine\n\n": "# mine\n", "---\n# a": "# a\n", "null\n": ""} {
		got := merge(t, paths(), text, KubeconfigMerge{})
		if diff := cmp.Diff(before+want, got); diff != "" {
			t.Errorf("%q (-want +got)\n%s", text, diff)
		}
	}
}

func TestMergeJSON(t *testing.T) {
	t.Parallel()
	text := "{\n  \"kind\": \"Config\",\n  \"x\": [1e400, 0.10, \"\\ud83d\\ude00\", \"<&>\", true, null, {}],\n  \"clusters\": null\n}\n"
	got := merge(t, paths(), text, KubeconfigMerge{})
	if !strings.HasPrefix(got, "{\n  \"kind\": \"Config\",\n  \"x\": [\n    1e400,\n    0.10,\n    \"😀\",\n    \"<&>\",\n    true,\n    null,\n    {}\n  ],\n  \"clusters\": [\n    {\n      \"cluster\"") {
		t.Error(got)
	}
	dense := merge(t, paths(), `{"users":[{"name":"a","user":{}}]}`, KubeconfigMerge{})
	if want := `{"users":[{"name":"a","user":{}},{"name":"alice@example.com","user":{"client-certificate":"/p/tls.crt","client-key":"/p/tls.key"}}],"clusters":` +
		`[{"cluster":{"certificate-authority":"/p/ca.crt","server":"https://10.0.0.1:6443"},"name":"kubernetes"}],"contexts":` +
		`[{"context":{"cluster":"kubernetes","user":"alice@example.com"},"name":"alice@example.com@kubernetes"}],"current-context":"alice@example.com@kubernetes"}`; dense != want {
		t.Error(cmp.Diff(want, dense))
	}
}

// The same content is found in whatever form it has, and other content is not.
func TestMergeSame(t *testing.T) {
	t.Parallel()
	whole := string(file(t, paths(), alice(t)).Data)
	for name, tt := range map[string]struct {
		old, new string // in whole
		conflict string // empty: it is the same
	}{
		"as it is":            {"", "", ""},
		"a comment":           {"server: https", "# here\n    server: https", ""},
		"quotes":              {"https://10.0.0.1:6443", `"https://10.0.0.1\x3a6443"`, ""},
		"empty fields":        {"    client-key:", "    token: \"\"\n    exec: null\n    as-groups: []\n    client-key:", ""},
		"a proxy":             {"    server:", "    proxy-url: http://a\n    server:", ""},
		"verified":            {"    server:", "    insecure-skip-tls-verify: false\n    server:", ""},
		"not verified":        {"    server:", "    insecure-skip-tls-verify: true\n    server:", `another cluster "kubernetes" (line 3)`},
		"another server":      {"10.0.0.1", "10.0.0.2", `another cluster "kubernetes" (line 3)`},
		"a token":             {"    client-key:", "    token: x\n    client-key:", `another user "alice@example.com" (line 15)`},
		"embedded":            {"client-key:", "client-key-data: QQ==\n    client-key:", `another user "alice@example.com" (line 15)`},
		"no user":             {"  user:\n    client-certificate: /p/tls.crt\n    client-key: /p/tls.key\n", "", `another user "alice@example.com" (line 15)`},
		"an empty user":       {"  user:\n    client-certificate: /p/tls.crt\n    client-key: /p/tls.key\n", "  user: {}\n", `another user "alice@example.com" (line 15)`},
		"a namespace":         {"    cluster: kubernetes", "    cluster: kubernetes\n    namespace: x", ""},
		"another user":        {"    user: alice", "    user: bob", `another context "alice@example.com@kubernetes" (line 8)`},
		"a merge key":         {"    client-key:", "    <<: {token: x}\n    client-key:", `another user "alice@example.com" (line 15)`},
		"a list for a server": {"server: https://10.0.0.1:6443", "server: [https://10.0.0.1:6443]", `another cluster "kubernetes" (line 3)`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(whole, tt.old, tt.new, 1)
			if tt.old != "" && text == whole {
				t.Fatalf("%q is not in\n%s", tt.old, whole)
			}
			out, err := paths().Merge([]byte(text), alice(t), KubeconfigMerge{})
			if tt.conflict == "" {
				if err != nil || string(out) != text {
					t.Errorf("%v, %s", err, cmp.Diff(text, string(out)))
				}
				return
			}
			var conflict *KubeconfigConflict
			if !errors.As(err, &conflict) || err.Error() != "it has "+tt.conflict {
				t.Fatalf("error %v, want %s", err, tt.conflict)
			}
			if name == "a merge key" {
				return // see TestMergeErrors
			}
			if diff := cmp.Diff(decodeKube(t, []byte(whole)), decodeKube(t, []byte(merge(t, paths(), text, KubeconfigMerge{Force: true})))); diff != "" {
				t.Errorf("with force (-want +got)\n%s", diff)
			}
		})
	}
}

// With force, an entry loses what would count beside the certificate, and keeps
// the rest.
func TestMergeForce(t *testing.T) {
	t.Parallel()
	f := paths()
	f.Cluster, f.User, f.Context, f.Namespace = "one", "bob", "bob@one", "prod"
	_, err := f.Merge([]byte(kubectlConfig), alice(t), KubeconfigMerge{})
	if want := `it has another cluster "one" (line 3), another context "bob@one" (line 8), another user "bob" (line 17)`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	got := merge(t, f, kubectlConfig, KubeconfigMerge{Force: true})
	want := strings.NewReplacer(
		"    certificate-authority-data: QQ==\n    server: https://one.example.com\n", "    server: https://10.0.0.1:6443\n    certificate-authority: /p/ca.crt\n",
		`"123"`, "prod",
		"    token: sesame\n", "    client-certificate: /p/tls.crt\n    client-key: /p/tls.key\n",
	).Replace(kubectlConfig)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A cluster that is there needs no server.
func TestMergeIntoCluster(t *testing.T) {
	t.Parallel()
	f := paths()
	f.Server, f.Cluster = "", "one"
	got := merge(t, f, kubectlConfig, KubeconfigMerge{})
	if strings.Count(got, "server:") != 1 || !strings.Contains(got, "    cluster: one\n    user: alice@example.com\n  name: alice@example.com@one\n") {
		t.Error(got)
	}
	f.Cluster = "two"
	_, err := f.Merge([]byte(kubectlConfig), alice(t), KubeconfigMerge{})
	wantOption(t, err, "cluster", "one", "no such cluster")
	_, err = f.Merge([]byte("clusters: [{name: a}, {name: b}]"), alice(t), KubeconfigMerge{})
	wantOption(t, err, "cluster", "", "it has a, b")
	_, err = f.Merge(nil, alice(t), KubeconfigMerge{})
	wantOption(t, err, "cluster", "", "no such cluster")
}

func TestMergeTaste(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, has string }{
		"lines of Windows":  {strings.ReplaceAll(kubectlConfig, "\n", "\r\n"), "  name: alice@example.com@kubernetes\r\n"},
		"a marker":          {"---\n" + kubectlConfig, "---\napiVersion: v1\n"},
		"flow":              {"{users: [{name: bob}], kind: Config}\n", "{name: bob}, {name: alice@example.com, user: {client-certificate: /p/tls.crt"},
		"empty flow":        {"clusters: []\nkind: Config\n", "clusters:\n- cluster:\n    certificate-authority: /p/ca.crt\n"},
		"no lists":          {"kind: Config\n", "kind: Config\nclusters:\n- cluster:\n"},
		"indented":          {"users:\n  - name: bob\n", "users:\n  - name: bob\n  - name: alice"},
		"an anchor":         {"users:\n- name: bob\n  user: &x {token: x}\n- name: c\n  user: *x\n", "user: &x {token: x}\n- name: c\n  user: *x\n- name: alice"},
		"a current context": {"current-context: x # no other\n", "current-context: x # no other\n"},
		"none":              {"current-context: \"\" # none\n", "current-context: alice@example.com@kubernetes # none\n"},
		"a name of numbers": {"users:\n- name: 0123\n  user: {token: 1}\n", "- name: 0123\n  user: {token: 1}\n"},
	} {
		if got := merge(t, paths(), tt.text, KubeconfigMerge{}); !strings.Contains(got, tt.has) {
			t.Errorf("%s: %q is not in\n%s", name, tt.has, got)
		}
	}
}

func TestMergeErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"broken":                   {"a: b\nc: [\n", "line 2: it is no YAML: did not find expected node content"},
		"broken JSON":              {"{\"a\": \n", "line 1: it is no YAML: did not find expected node content"},
		"a list":                   {"# x\n- a\n", "line 2: it is no kubeconfig: a mapping is wanted"},
		"a mapping of others":      {"# mine\nreplicas: 3\n", "line 2: it is no kubeconfig: there is none of kind, apiVersion, clusters, contexts, users, current-context"},
		"a word":                   {"hello\n", "line 1: it is no kubeconfig: a mapping is wanted"},
		"a certificate":            {"-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n", "line 1: it is no kubeconfig: a mapping is wanted"},
		"a Secret":                 {"apiVersion: v1\nkind: Secret\n", "line 2: it is no kubeconfig: kind is Secret, not Config"},
		"another version":          {"apiVersion: v2\n", "line 1: it is no kubeconfig: apiVersion is v2, not v1"},
		"a kind that is a list":    {"kind: [Config]\n", "line 1: it is no kubeconfig: kind is no text, not Config"},
		"two documents":            {"kind: Config\n---\nkind: Config\n", "line 2: a second document begins, of which kubectl knows nothing"},
		"a key twice":              {"kind: Config\nusers: []\nusers: []\n", `line 3: the key "users" is there twice`},
		"a key twice in JSON":      {"{\"users\": [],\n\"users\": []}", `line 2: the key "users" is there twice`},
		"a key of a user":          {"users:\n- name: a\n  user:\n    token: a\n    token: b\n", `line 5: the key "token" is there twice`},
		"a key of an item":         {"users:\n- name: a\n  name: b\n", `line 3: the key "name" is there twice`},
		"a key that is a list":     {"[a]: b\n", "line 1: a key is no text"},
		"a mapping for a list":     {"users: {a: b}\n", "line 1: users is no list"},
		"a word in a list":         {"users:\n- a\n", "line 2: an item of users is no mapping"},
		"a name that is a list":    {"contexts:\n- name: [a]\n", "line 2: the name of an item of contexts is no text"},
		"an entry that is text":    {"clusters:\n- name: a\n  cluster: x\n", "line 3: cluster is no mapping"},
		"a context twice":          {"contexts:\n- name: a\n- name: b\n- name: a\n", `line 4: context "a" is there twice, first on line 2`},
		"a user twice in JSON":     {"{\"users\": [\n{\"name\": \"a\"},\n{\"name\": \"a\"}]}", `line 3: user "a" is there twice, first on line 2`},
		"a current context":        {"current-context: {}\n", "line 1: it is no kubeconfig: current-context is no text"},
		"a list with an anchor":    {"users: &u []\ncontexts: *u\n", "line 1: contexts has an anchor, so that it cannot be changed in one place"},
		"deep JSON":                {`{"x":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + "}", "line 1: it is no JSON: it is nested deeper than 500 levels"},
		"a shared user":            {"users:\n- name: alice@example.com\n  user: &x {token: a}\n- name: b\n  user: *x\n", `line 2: user "alice@example.com" shares what it holds with others: change it by hand`},
		"a user shared with":       {"users:\n- name: b\n  user: &x {token: a}\n- name: alice@example.com\n  user: *x\n", `line 4: user "alice@example.com" shares what it holds with others: change it by hand`},
		"a user by a merge key":    {"users:\n- name: alice@example.com\n  user:\n    <<: {token: a}\n", `line 2: user "alice@example.com" shares what it holds with others: change it by hand`},
		"what the library garbles": {"kind: Config\nx: >\n\n  a\n\n   b\n", "it cannot be changed without harm, so change it by hand"},
		"an anchor that is lost":   {"users:\n- name: alice@example.com\n  user: {token: &x a}\n- name: *x\n", "it cannot be changed without harm, so change it by hand"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := paths().Merge([]byte(tt.text), alice(t), KubeconfigMerge{Force: true})
			var e *KubeconfigError
			if !errors.As(err, &e) || err.Error() != tt.want || out != nil {
				t.Errorf("error %v, want %s\n%s", err, tt.want, out)
			}
		})
	}
}

// Whatever is merged into, what comes out has all that was in it.
func FuzzMergeKubeconfig(f *testing.F) {
	for _, text := range []string{
		"", kubectlConfig, handConfig, `{"users":[{"name":"a","user":{"x":[1,"\ud83d\ude00"]}}]}`,
		"a: |\n  b\n\n  c\n# d\ne: >-\n  f\n", "users: [{name: &a b}, {name: c, user: {token: *a}}]", "clusters:\n- name: kubernetes\n  cluster: {}\n",
		"users:\n- name: alice@example.com\n  user: {token: a}\n", "? a\n: b\n", "\"a\": 'b''c'\nd: !!binary QQ==\n",
	} {
		f.Add([]byte(text))
	}
	b := alice(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, o := range []KubeconfigMerge{{}, {Force: true, SetCurrent: true}} {
			out, err := paths().Merge(data, b, o)
			if err != nil {
				if out != nil {
					t.Fatalf("an error and %q", out)
				}
				continue
			}
			again, err := paths().Merge(out, b, KubeconfigMerge{})
			if err != nil || !bytes.Equal(out, again) {
				t.Fatalf("the second time: %v\n%s\n%s", err, out, again)
			}
			before, err := readKubeconfig(data)
			if err != nil {
				t.Fatal(err)
			}
			if before == nil {
				continue
			}
			after, err := readKubeconfig(out)
			if err != nil {
				t.Fatal(err)
			}
			keeps(t, before, after, o.Force)
		}
	})
}

// keeps checks that nothing is lost but what the entries of the test's own had.
func keeps(t *testing.T, before, after *kubeconfigFile, force bool) {
	t.Helper()
	for i := 0; i+1 < len(before.root.Content); i += 2 {
		key := before.root.Content[i].Value
		if key == "clusters" || key == "contexts" || key == "users" || key == "current-context" {
			continue
		}
		if !sameNodes(before.root.Content[i+1], after.root.Content[i+1]) || key != after.root.Content[i].Value {
			t.Fatalf("%s is another", key)
		}
	}
	for _, kind := range kubeKinds {
		for i, item := range before.lists[kind].Content {
			name := itemName(resolved(item))
			if force && (name == "kubernetes" || strings.HasPrefix(name, "alice@example.com")) {
				continue
			}
			if !sameNodes(item, after.lists[kind].Content[i]) {
				t.Fatalf("%s %q is another", kind, name)
			}
		}
	}
}

func TestMergeJSONStaysJSON(t *testing.T) {
	t.Parallel()
	f := Kubeconfig{Server: clusterURL, JSON: true}
	for _, text := range []string{"", "{}", "{ }\n"} {
		if out := merge(t, f, text, KubeconfigMerge{}); !json.Valid([]byte(out)) {
			t.Errorf("%q: %s", text, out)
		}
	}
}
