package e2e

import (
	"errors"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The guides, and the programs that they type beside mtlsctl.
var guides = map[string][]string{
	"apisix.md":        {"etcd", "etcdctl", "nginx", "curl"},
	"azure-gateway.md": {"nginx", "curl"},
	"ingress.md":       nil,
	"istio-browser.md": nil,
	"kubeadm.md":       {"kubectl"},
	"manifests.md":     nil,
}

// TestGuides follows the guides as a reader does, in a folder of their own, with
// a shell: the blocks that begin with a comment that names a file are that file,
// and what stands after "$ " is typed. What a guide shows as the answer must be
// the answer, but for dates. A line that ends in "&" goes on until the guide ends.
// Addresses of this machine get a port that is free.
//
// What needs a cluster is not typed: a line ends before it is piped to kubectl,
// and the blocks of other languages than console are only shown.
func TestGuides(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := guides[filepath.Base(page)]; !ok && strings.Contains(string(text), "```console") {
			t.Errorf("%s types commands, and is not in the list of guides", page)
		}
	}
	for name, programs := range guides {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
			if err != nil {
				t.Fatal(err)
			}
			s := newShell(t, programs...)
			s.env[0] = "PATH=" + filepath.Dir(mtlsctl) + string(os.PathListSeparator) + os.Getenv("PATH") + ":/usr/sbin:/sbin"
			g := guide{shell: s, programs: append([]string{"mtlsctl"}, programs...)}
			for _, f := range fences(moved(t, string(text))) {
				g.follow(t, f)
			}
			if g.lines == 0 {
				t.Error("the guide types nothing")
			}
		})
	}
}

// A guide is followed from its beginning to its end.
type guide struct {
	*shell
	programs []string // that it may type
	lines    int
	server   *process // that runs since it was started last
	starting *process // the same, if the next command may have to wait for it
}

func (g *guide) follow(t *testing.T, f fence) {
	t.Helper()
	if f.lang != "console" {
		if file, ok := strings.CutPrefix(f.text, "# "); ok && f.lang != "sh" {
			file, _, _ = strings.Cut(file, "\n")
			if err := os.MkdirAll(filepath.Dir(g.path(file)), 0o700); err != nil {
				t.Fatal(err)
			}
			g.write(t, file, []byte(f.text))
		}
		return
	}
	for _, step := range strings.Split("\n"+strings.ReplaceAll(f.text, "\\\n", ""), "\n$ ")[1:] {
		command, want, _ := strings.Cut(step, "\n")
		command, _, _ = strings.Cut(command, " | kubectl ")
		program, _, _ := strings.Cut(command, " ")
		if !slices.Contains(g.programs, program) {
			t.Fatalf("the guide types %q, which is none of its programs", command)
		}
		g.lines++
		if line, ok := strings.CutSuffix(command, "&"); ok {
			g.server = g.start(t, "sh -c", "exec "+line)
			g.starting = g.server
			continue
		}
		g.do(t, command, strings.TrimRight(want, "\n"))
		if strings.HasSuffix(command, "-s reload") {
			g.starting = g.server
		}
	}
}

// do types a command. The first after one that was left running, or told to read
// its files anew, is typed again until the answer is right.
func (g *guide) do(t *testing.T, command, want string) {
	t.Helper()
	var out output
	good := func() bool {
		out = g.run(t, "sh -c", command)
		return undated(out.stdout+out.stderr) == undated(want) || want == "" && out.code == 0
	}
	if g.starting != nil {
		err := g.starting.await("what "+command+" needs", good)
		if errors.Is(err, errEnded) {
			t.Fatal(err)
		}
		g.starting = nil
	} else {
		good()
	}
	switch {
	case want == "" && out.code != 0:
		t.Fatalf("exit status %d\n%v", out.code, out)
	case want != "" && undated(out.stdout+out.stderr) != undated(want):
		t.Errorf("the guide shows\n%s\n\nbut it is\n%v", want, out)
	}
}

var localAddress = regexp.MustCompile(`(127\.0\.0\.1|localhost|example\.com):([0-9]{4,5})\b`)

// moved gives the addresses of this machine in a text ports that are free.
func moved(t *testing.T, text string) string {
	t.Helper()
	ports := map[string]string{}
	for _, m := range localAddress.FindAllStringSubmatch(text, -1) {
		ports[m[2]] = ""
	}
	addresses := freePorts(t, len(ports))
	for i, p := range slices.Sorted(maps.Keys(ports)) {
		_, port, err := net.SplitHostPort(addresses[i])
		if err != nil {
			t.Fatal(err)
		}
		ports[p] = port
	}
	return localAddress.ReplaceAllStringFunc(text, func(s string) string {
		host, port, _ := strings.Cut(s, ":")
		return host + ":" + ports[port]
	})
}

type fence struct{ lang, text string }

// fences returns the fenced blocks of a page in Markdown.
func fences(page string) (all []fence) {
	parts := strings.Split("\n"+page, "\n```")
	for i := 1; i < len(parts); i += 2 {
		lang, text, _ := strings.Cut(parts[i], "\n")
		all = append(all, fence{lang, text})
	}
	return all
}

var (
	date    = regexp.MustCompile(`\d{4}-\d\d-\d\d`)
	padding = regexp.MustCompile(`(?m) +$`)
)

// undated takes out what is another every day.
func undated(s string) string {
	return strings.TrimRight(padding.ReplaceAllString(date.ReplaceAllString(s, "DATE"), ""), "\n")
}
