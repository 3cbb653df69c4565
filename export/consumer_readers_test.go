package export

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"

	"go.yaml.in/yaml/v3"

	"github.com/mtlsctl/mtlsctl/pki"
)

// The readers here are those of the consumers, as far as the lines go that they
// are told; what none of those lines should have is an error.

// errNotRead is what a reader takes for something else than a word.
var errNotRead = errors.New("it is not read as it was meant")

// byLine reads each line by itself, but for comments and empty ones.
func byLine(words func(line string) ([]string, error)) reader {
	return func(text string) (all [][]string, err error) {
		text = strings.ReplaceAll(text, "\\\n", "") // a line that goes on
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			w, err := words(line)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", line, err)
			}
			all = append(all, w)
		}
		return all, nil
	}
}

// readLines takes lines as they are.
func readLines(text string) ([][]string, error) {
	return byLine(func(line string) ([]string, error) { return []string{line}, nil })(text)
}

// readComments takes comments alone.
func readComments(text string) ([][]string, error) {
	return byLine(func(string) ([]string, error) { return nil, errNotRead })(text)
}

// A quoting is how a reader finds words.
type quoting struct {
	quotes  string // that begin and end one
	ends    string // characters that end a word, and are one
	comment bool   // # begins a comment, at the beginning of a word
	// escape returns what a backslash and a character stand for, within a quote or,
	// if that is 0, outside of one; and false if a backslash is one.
	escape func(quote, c byte) (string, bool)
	// never are characters that the reader expands, within a quote or outside.
	never func(quote byte) string
}

func (q *quoting) split(text string) (words []string, err error) {
	word, in, quote := "", false, byte(0)
	end := func() {
		if in {
			words = append(words, word)
		}
		word, in = "", false
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		escaped := ""
		if c == '\\' && i+1 < len(text) {
			escaped, _ = q.escape(quote, text[i+1])
		}
		switch {
		case escaped != "":
			word, in = word+escaped, true
			i++
		case strings.IndexByte(q.never(quote), c) >= 0:
			return nil, fmt.Errorf("%w: %q", errNotRead, c)
		case quote == 0 && strings.IndexByte(q.quotes, c) >= 0:
			quote, in = c, true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word += string([]byte{c})
		case c == ' ' || c == '\t' || c == '\n':
			end()
		case strings.IndexByte(q.ends, c) >= 0:
			end()
			words = append(words, string(c))
		case c == '#' && q.comment && !in:
			end()
			next := strings.IndexByte(text[i:], '\n')
			if next < 0 {
				return words, nil
			}
			i += next
		default:
			word, in = word+string([]byte{c}), true
		}
	}
	end()
	if quote != 0 {
		err = fmt.Errorf("%w: a quote that does not end", errNotRead)
	}
	return words, err
}

func nothing(byte) string { return "" }

// readShell: POSIX, 2.2 and 2.6.
func readShell(line string) ([]string, error) {
	q := quoting{quotes: `'"`, comment: true, never: func(quote byte) string {
		return map[byte]string{0: "$`;&|<>(){}*?[]~!", '"': "$`"}[quote]
	}, escape: func(quote, c byte) (string, bool) {
		if quote == '\'' || quote == '"' && strings.IndexByte("\"\\$`", c) < 0 {
			return "", false
		}
		return string([]byte{c}), true
	}}
	before, header, found := strings.Cut(line, `-H "X-API-KEY: $ADMIN_KEY"`)
	words, err := q.split(before)
	if err != nil || !found {
		return words, err
	}
	rest, err := q.split(header)
	return append(words, rest...), err
}

// readNginx: gh/nginx/nginx src/core/ngx_conf_file.c, ngx_conf_read_token.
func readNginx(text string) (all [][]string, err error) {
	q := quoting{quotes: `'"`, ends: ";{}", comment: true, never: nothing, escape: func(_, c byte) (string, bool) {
		s := map[byte]string{'"': `"`, '\'': "'", '\\': `\`, 't': "\t", 'r': "\r", 'n': "\n"}[c]
		return s, s != ""
	}}
	words, err := q.split(text)
	var directive []string
	for _, w := range words {
		if directive = append(directive, w); w == ";" {
			all, directive = append(all, directive), nil
		}
	}
	if len(directive) > 0 {
		err = errors.Join(err, errNotRead)
	}
	return all, err
}

// readHAProxy: HAProxy's configuration manual, 2.2.
func readHAProxy(line string) ([]string, error) {
	q := quoting{quotes: `'"`, comment: true, escape: func(quote, c byte) (string, bool) {
		if quote == 0 && strings.IndexByte(` #\'"`, c) >= 0 || quote == '"' && strings.IndexByte(` #\'"$`, c) >= 0 {
			return string([]byte{c}), true
		}
		return "", false
	}, never: func(quote byte) string {
		return map[byte]string{0: "#", '"': "$"}[quote]
	}}
	return q.split(line)
}

// readRedis: gh/redis/redis src/sds.c, sdssplitargs.
func readRedis(line string) ([]string, error) {
	q := quoting{quotes: `'"`, never: nothing, escape: func(quote, c byte) (string, bool) {
		if quote != '"' {
			return "", false
		}
		if s := map[byte]string{'n': "\n", 'r': "\r", 't': "\t", 'b': "\b", 'a': "\a"}[c]; s != "" {
			return s, true
		}
		return string([]byte{c}), true
	}}
	return q.split(line)
}

// readArgFile: JDK, java, "java Command-Line Argument Files".
func readArgFile(line string) ([]string, error) {
	q := quoting{quotes: `'"`, comment: true, never: nothing, escape: func(quote, c byte) (string, bool) {
		if quote == 0 {
			return "", false
		}
		if s := map[byte]string{'n': "\n", 'r': "\r", 't': "\t", 'f': "\f"}[c]; s != "" {
			return s, true
		}
		return string([]byte{c}), true
	}}
	return q.split(line)
}

// readHCL: gh/hashicorp/hcl at its first version, as Consul has it.
func readHCL(line string) ([]string, error) {
	if strings.Contains(line, "${") {
		return nil, fmt.Errorf("%w: HCL puts something in its place", errNotRead)
	}
	return readQuoted(strings.ReplaceAll(line, `\u0024{`, "${"))
}

// readQuoted: gh/nats-io/nats-server conf/lex.go; what is between double quotes is
// text.
func readQuoted(line string) ([]string, error) {
	q := quoting{quotes: `"`, ends: "{}=:", comment: true, never: nothing, escape: func(quote, c byte) (string, bool) {
		s := map[byte]string{'"': `"`, '\\': `\`, 't': "\t", 'r': "\r", 'n': "\n", 'x': "?"}[c]
		return s, s != "" && quote != 0
	}}
	return q.split(line)
}

// readEnvironment: systemd.exec(5), EnvironmentFile=, which is much as the shell.
func readEnvironment(line string) ([]string, error) {
	words, err := readShell(line)
	if err == nil && len(words) != 1 {
		err = errNotRead
	}
	return words, err
}

// readPostgres: PostgreSQL's manual, 19.1.2.
func readPostgres(line string) ([]string, error) {
	key, value, _ := strings.Cut(line, " = ")
	value, quoted := strings.CutPrefix(value, "'")
	if !quoted {
		return []string{key, value}, nil
	}
	out := ""
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] == '\\' && i+1 < len(value):
			i++
			out += map[bool]string{true: "?", false: string([]byte{value[i]})}[strings.IndexByte("bfnrt01234567", value[i]) >= 0]
		case strings.HasPrefix(value[i:], "''"):
			out += "'"
			i++
		case value[i] == '\'' && i == len(value)-1:
			return []string{key, out}, nil
		case value[i] == '\'':
			return nil, errNotRead
		default:
			out += string([]byte{value[i]})
		}
	}
	return nil, errNotRead
}

// readPsql: a connection string (PostgreSQL's manual, 34.1.1.1) in the shell.
func readPsql(line string) ([]string, error) {
	words, err := readShell(line)
	if err != nil || len(words) != 2 {
		return nil, errors.Join(err, errNotRead)
	}
	q := quoting{quotes: `'`, never: nothing, escape: func(_, c byte) (string, bool) { return string([]byte{c}), true }}
	return q.split(words[1])
}

// readMySQL: gh/mysql/mysql-server mysys/my_default.cc.
func readMySQL(line string) ([]string, error) {
	key, value, found := strings.Cut(line, " = ")
	if !found {
		key, _, _ = strings.Cut(line, " #")
		return []string{key}, nil
	}
	quote, escape := byte(0), false
	for i := range len(value) {
		c := value[i]
		switch {
		case (c == '\'' || c == '"') && !escape && quote == 0:
			quote = c
		case (c == '\'' || c == '"') && !escape && quote == c:
			quote = 0
		case c == '#' && quote == 0:
			value = strings.TrimSpace(value[:i])
		}
		if i >= len(value) {
			break
		}
		escape = quote != 0 && c == '\\' && !escape
	}
	if n := len(value); n > 1 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		value = value[1 : n-1]
	}
	return []string{key, strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\'`, "'", `\n`, "\n", `\t`, "\t", `\r`, "\r", `\b`, "\b", `\s`, " ").Replace(value)}, nil
}

// readProperties: java.util.Properties, load(InputStream).
func readProperties(line string) ([]string, error) {
	key, value, _ := strings.Cut(line, "=")
	var units []uint16
	for i := 0; i < len(value); i++ {
		c := uint16(value[i])
		if value[i] == '\\' && i+1 < len(value) {
			i++
			c = map[byte]uint16{'n': '\n', 't': '\t', 'r': '\r', 'f': '\f'}[value[i]]
			switch {
			case value[i] == 'u' && i+5 <= len(value):
				n, err := strconv.ParseUint(value[i+1:i+5], 16, 16)
				if err != nil {
					return nil, err
				}
				c = uint16(n)
				i += 4
			case c == 0:
				c = uint16(value[i])
			}
		}
		units = append(units, c)
	}
	return []string{key, string(utf16.Decode(units))}, nil
}

// readCuttlefish: gh/kyorai/cuttlefish src/conf_parse.peg.
func readCuttlefish(line string) ([]string, error) {
	key, value, _ := strings.Cut(line, " = ")
	if rest, quoted := strings.CutPrefix(value, "'"); quoted {
		text, more, ended := strings.Cut(rest, "'")
		if !ended || more != "" {
			return nil, errNotRead
		}
		return []string{key, text}, nil
	}
	value, _, _ = strings.Cut(value, "#")
	return []string{key, strings.TrimSpace(value)}, nil
}

// readURL reads the query of an AMQP URL.
func readURL(line string) ([]string, error) {
	u, err := url.Parse(line)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	return []string{u.Host, q.Get("cacertfile"), q.Get("certfile"), q.Get("keyfile"), strconv.Itoa(len(q))}, nil
}

// readYAML returns each scalar with the way to it.
func readYAML(text string) (all [][]string, err error) {
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var n yaml.Node
		err := d.Decode(&n)
		if err != nil {
			if err.Error() == "EOF" {
				return all, nil
			}
			return nil, err
		}
		all = append(all, scalars("", &n)...)
	}
}

func scalars(way string, n *yaml.Node) (all [][]string) {
	switch n.Kind {
	case yaml.DocumentNode, yaml.SequenceNode:
		for i, c := range n.Content {
			all = append(all, scalars(way+strconv.Itoa(i)+".", c)...)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			all = append(all, scalars(way+n.Content[i].Value+".", n.Content[i+1])...)
		}
	default:
		return [][]string{{way, n.Value, n.ShortTag()}}
	}
	return all
}

// withCN is a bundle whose leaf has another common name.
func withCN(b *pki.Bundle, cn string) *pki.Bundle {
	leaf, other := *b.Leaf(), *b
	leaf.Subject.CommonName = cn
	other.Chain = append(other.Chain[:0:0], b.Chain...)
	other.Chain[0] = &leaf
	return &other
}

// renamed puts another word in the place of one.
func renamed(lines [][]string, from, to string) (all [][]string) {
	for _, words := range lines {
		var line []string
		for _, w := range words {
			line = append(line, strings.ReplaceAll(w, from, to))
		}
		all = append(all, line)
	}
	return all
}
