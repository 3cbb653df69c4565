package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// postgresProgram is the path of one of PostgreSQL's own programs, which Debian
// keeps out of the PATH, a folder for each version.
func postgresProgram(t *testing.T, name string) string {
	t.Helper()
	if path, ok := pkitest.LookProgram(name); ok {
		return path
	}
	if found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); err == nil && len(found) > 0 {
		return slices.MaxFunc(found, strings.Compare)
	}
	return pkitest.Program(t, name)
}

// TestForPostgres has the common name be the user: pg_hba.conf asks for a
// certificate, and for nothing else.
func TestForPostgres(t *testing.T) {
	t.Parallel()
	s := newGuarded(t, "server", "psql")
	if err := os.Mkdir(s.path("server"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.give(t, "server")
	s.ok(t, s.demoted(t, postgresProgram(t, "initdb"))+"-D server/data -U alice --no-sync --no-instructions --locale=C -E UTF8")

	s.feed(t, "CREATE ROLE bob LOGIN\n", s.demoted(t, postgresProgram(t, "postgres"))+"--single -D server/data postgres").mustSay(t, "backend>")

	var address string
	psql := func(t *testing.T, lines string) output {
		t.Helper()
		host, port := hostPort(t, address)
		// In TLS 1.3 the client may find the connection closed before it reads why.
		return s.having("PGPORT="+port, "PGUSER=alice", "PGSSLMAXPROTOCOLVERSION=TLSv1.2").
			typed(t, lines, host, "SELECT current_user, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
	}
	s.guard(t, &guarded{
		consumer: "postgres",
		start: func(t *testing.T, config string) (p *process) {
			t.Helper()
			onFreePorts(t, 1, func(free []string) error {
				address = free[0]
				host, port := hostPort(t, address)
				_, hba, _ := strings.Cut(config, "# hostssl ")
				s.write(t, "server/data/pg_hba.conf", []byte("hostssl "+hba))
				s.write(t, "server/data/postgresql.conf",
					[]byte("listen_addresses = '"+host+"'\nport = "+port+"\nunix_socket_directories = ''\nfsync = off\n"+config))
				s.give(t, "server")
				s.give(t, "for it")
				p = s.start(t, s.demoted(t, postgresProgram(t, "postgres"))+"-D server/data")
				p.quit = os.Interrupt // killed, it leaves children and shared memory
				return p.await("postgres to be ready", func() bool { return strings.Contains(p.log(), "ready to accept connections") })
			})
			return p
		},
		client:   "postgres",
		call:     func(t *testing.T, c caller) output { return psql(t, c.lines) },
		answer:   "/CN=",
		nobody:   "connection requires a valid client certificate",
		stranger: "alert unknown ca",
		revoked:  "alert certificate revoked",
		itself:   "certificate verify failed",
	})
	t.Run("another user", func(t *testing.T) {
		lines := strings.Replace(s.exportFor(t, "alice", "postgres", "another"), "user=alice", "user=bob", 1)
		psql(t, lines).mustSay(t, `certificate authentication failed for user "bob"`)
	})
}
