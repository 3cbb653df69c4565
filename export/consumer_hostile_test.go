package export

import (
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mtlsctl/mtlsctl/profiles"
)

// hostile are folders whose names mean something to some reader.
var hostile = []string{
	"/my tls", "/my  tls", "/a;b", `/a"b`, `/a'b`, `/a'b"c d`, `/a\b`, `/a\nb`, `/a\" b`, "/a#b", "/a #b", "/a$(reboot)", "/a${HOME} b",
	"/a`id`", "/{a}", "/a, b: [c]", "/a&b|c>d", "/ünïcode/日本", "/<tls.key>", "/*?", "/~", "/%41+b", "/a=b c='d'", "/!a", "/-", "/crl",
	`/ends in\`, "/" + strings.Repeat("long and ", 30), `\\server\share`,
}

// unspeakable are folders that no line can name.
var unspeakable = []string{"/a\nssl off;", "/a\r\nb: c", "/a\tb\x1b[2J", "/a\u2028b", "/a\u202eb", "/a\xffb", "/a\x00b"}

// reader reads the lines of a configuration as its consumer does, without its
// comments: a list of words for each line or directive.
type reader func(text string) ([][]string, error)

// readers is who reads what consumers are told, for servers and for the others.
var readers = map[string]struct{ server, client reader }{
	"nginx":         {readNginx, readNginx},
	"haproxy":       {byLine(readHAProxy), byLine(readHAProxy)},
	"envoy":         {readYAML, readYAML},
	"consul":        {byLine(readHCL), byLine(readHCL)},
	"etcd":          {byLine(readEnvironment), byLine(readShell)},
	"postgres":      {byLine(readPostgres), byLine(readPsql)},
	"mysql":         {byLine(readMySQL), byLine(readMySQL)},
	"mongodb":       {readYAML, byLine(readShell)},
	"redis":         {byLine(readRedis), byLine(readShell)},
	"kafka":         {byLine(readProperties), byLine(readProperties)},
	"rabbitmq":      {byLine(readCuttlefish), byLine(readURL)},
	"nats":          {byLine(readQuoted), byLine(readShell)},
	"curl":          {byLine(readShell), byLine(readShell)},
	"java":          {byLine(readArgFile), byLine(readArgFile)},
	"apisix":        {readYAML, readYAML},
	"ingress-nginx": {readYAML, readYAML}, "gateway-api": {readYAML, readYAML}, "agc": {readYAML, readYAML},
	"traefik": {readYAML, readYAML}, "istio-gateway": {readYAML, readYAML}, "istio-gateway-cacert": {readYAML, readYAML},
	"istio-cacerts": {readLines, readLines}, "linkerd": {readLines, readLines},
}

// TestConfigSaysWhatItIs has consumers read their configuration for files in
// hostile folders: it has the same lines as with plain ones, and in them the names
// of the files, to the letter.
func TestConfigSaysWhatItIs(t *testing.T) {
	t.Parallel()
	read := 0
	for _, c := range Consumers() {
		for _, of := range []consumerBundle{aServer, aPeer, aClient, aConsul, aMember, aRoot} {
			for _, format := range c.Formats() {
				p := Placement{Fit: Fit{Format: format, Bundle: of(t)}, CRL: true}
				p.Name = leafName(p.Bundle)
				plain := placed(c, p, "/tls")
				if plain == "" {
					continue
				}
				read++
				want, err := readerOf(c, &p)(plain)
				if err != nil {
					t.Fatalf("%s, %s, %s: %v:\n%s", c.Name, p.Role(), format, err, plain)
				}
				for _, dir := range hostile {
					text := placed(c, p, dir)
					got, err := readerOf(c, &p)(text)
					if diff := cmp.Diff(renamed(want, "/tls/", dir+"/"), got); diff != "" || err != nil {
						t.Errorf("%s, %s, %s: %v (-want +got):\n%s\n%s", c.Name, p.Role(), format, err, diff, text)
					}
				}
				for _, dir := range unspeakable {
					for line := range strings.Lines(placed(c, p, dir)) {
						if !strings.HasPrefix(line, "#") && strings.Contains(plain, "/tls/") {
							t.Errorf("%s, %s, %q: %q", c.Name, p.Role(), dir, line)
						}
					}
				}
			}
		}
	}
	if read < 50 {
		t.Errorf("%d configurations were read", read)
	}
}

// readerOf returns who reads what a consumer is told.
func readerOf(c *Consumer, p *Placement) reader {
	r, ok := readers[c.Name]
	switch {
	case !ok:
		return readComments
	case p.Format == "apisix":
		return byLine(readShell)
	case p.serves():
		return r.server
	}
	return r.client
}

// placed returns the configuration for files in a folder; empty if the consumer
// does not take them.
func placed(c *Consumer, p Placement, dir string) string {
	shape, err := c.Fit(&p.Fit)
	if err != nil {
		return ""
	}
	p.Object = shape.Object
	if p.Object == "" {
		p.Object = SecretName(path.Base(p.Name))
	}
	for _, i := range shape.Layout {
		p.Files = append(p.Files, dir+"/"+i.Name)
	}
	if len(p.Files) == 0 {
		p.Files = []string{dir + "/" + path.Base(p.Name) + "." + p.Format}
	}
	return c.Config(&p)
}

// TestConfigOfHostileNames is the same for common names, which only a few
// consumers are told.
func TestConfigOfHostileNames(t *testing.T) {
	t.Parallel()
	for _, c := range Consumers() {
		for _, format := range c.Formats() {
			p := Placement{Fit: Fit{Format: format, Bundle: issued(profiles.Client(), "a@example.com", named("alice"))(t)}}
			p.Name = "web"
			plain := placed(c, p, "/tls")
			if plain == "" {
				continue
			}
			want, err := readerOf(c, &p)(plain)
			if err != nil {
				t.Fatal(err)
			}
			for _, cn := range []string{`it's "it"`, `a b; c # d`, `\`, `a\`, "$(reboot)`id`", `x'; DROP USER root; --`, "a, b: c", "Ünï", "a\nssl = off", "a\r#", "<tls.key>"} {
				if p.Bundle = withCN(p.Bundle, cn); c.Name == "mysql" {
					continue // whose rules look at it
				}
				text := placed(c, p, "/tls")
				got, err := readerOf(c, &p)(text)
				expected := renamed(want, "alice", printable(cn))
				if diff := cmp.Diff(expected, got); diff != "" || err != nil || strings.Count(text, "\n") != strings.Count(plain, "\n") {
					t.Errorf("%s, %q: %v (-want +got):\n%s\n%s", c.Name, cn, err, diff, text)
				}
			}
		}
	}
}

// TestConfigOfHostileHosts is the same for DNS names, as a certificate that was
// made elsewhere may have them.
func TestConfigOfHostileHosts(t *testing.T) {
	t.Parallel()
	hosts := []string{"a, b", "x]", "{y: z}", "a: b", "#c", `"q`, "'q", "*", "&a", "no", "1.0", "a\nb: c", "~"}
	for _, name := range []string{"ingress-nginx", "istio-gateway", "etcd"} {
		c, err := FindConsumer(name)
		if err != nil {
			t.Fatal(err)
		}
		p := Placement{Fit: Fit{Format: c.Formats()[0], Name: "web", Bundle: aPeer(t)}}
		plain := placed(c, p, "/tls")
		leaf := *p.Bundle.Leaf()
		leaf.DNSNames = hosts
		p.Bundle.Chain[0] = &leaf
		text := placed(c, p, "/tls")
		if name == "etcd" {
			if strings.Count(text, "\n") != strings.Count(plain, "\n") {
				t.Errorf("other lines:\n%s", text)
			}
			continue
		}
		got, err := readYAML(text)
		if err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		var found []string
		for _, words := range got {
			if strings.Contains(words[0], "hosts.") {
				found = append(found, words[1])
			}
		}
		if diff := cmp.Diff(hosts, found); diff != "" {
			t.Errorf("%s (-want +got):\n%s\n%s", name, diff, text)
		}
	}
}

// TestConfigOfLikeNames has certificates that are called as files are that others
// stand in.
func TestConfigOfLikeNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ consumer, name, want string }{
		{"haproxy", "crl.example.com", "crt /tls/crl.example.com.pem ca-file /tls/ca.crt"},
		{"haproxy", "old-crl", "crl-file /tls/crl.pem"},
		{"mongodb", "mongo-ca", "CAFile: /tls/ca.pem"},
		{"mongodb", "old-crl", "CRLFile: /tls/crl.pem"},
	} {
		c, err := FindConsumer(tt.consumer)
		if err != nil {
			t.Fatal(err)
		}
		p := Placement{Fit: Fit{Format: "pem", Name: tt.name, Bundle: aServer(t)}, CRL: strings.Contains(tt.want, "crl.pem")}
		if text := placed(c, p, "/tls"); !strings.Contains(text, tt.want) {
			t.Errorf("%s, %s: %q is not in:\n%s", tt.consumer, tt.name, tt.want, text)
		}
	}
	for _, consumer := range []string{"haproxy", "mongodb"} {
		c, err := FindConsumer(consumer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Fit(&Fit{Format: "pem", Name: "crl", Bundle: aServer(t)}); err == nil {
			t.Errorf("%s: two files are called crl.pem", consumer)
		}
	}
}

// FuzzConfig has consumers read their configuration for files anywhere.
func FuzzConfig(f *testing.F) {
	for _, dir := range append(hostile, unspeakable...) {
		f.Add(dir)
	}
	type one struct {
		c    *Consumer
		p    Placement
		want [][]string
	}
	var all []one
	for _, c := range Consumers() {
		for _, of := range []consumerBundle{aServer, aPeer, aClient, aConsul, aRoot} {
			p := Placement{Fit: Fit{Format: c.Formats()[0], Bundle: of(f)}, CRL: true}
			p.Name = leafName(p.Bundle)
			if plain := placed(c, p, "/tls"); plain != "" {
				want, err := readerOf(c, &p)(plain)
				if err != nil {
					f.Fatal(err)
				}
				all = append(all, one{c, p, want})
			}
		}
	}
	f.Fuzz(func(t *testing.T, dir string) {
		if dir = "/" + dir; isUnspeakable(dir) || strings.Contains(dir, "tls/") {
			t.Skip()
		}
		for _, o := range all {
			text := placed(o.c, o.p, dir)
			got, err := readerOf(o.c, &o.p)(text)
			if o.c.Name == "rabbitmq" && strings.Contains(dir, "'") { // it cannot say all
				continue
			}
			if diff := cmp.Diff(renamed(o.want, "/tls/", dir+"/"), got); diff != "" || err != nil {
				t.Errorf("%s, %s: %v (-want +got):\n%s\n%s", o.c.Name, o.p.Role(), err, diff, text)
			}
		}
	})
}
