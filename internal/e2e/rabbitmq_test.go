package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mtlsctl/mtlsctl/internal/pkitest"
)

// rabbitmqServer is the path of the broker's own script: Debian has one in front
// that will be run by its user alone.
func rabbitmqServer(t *testing.T) string {
	t.Helper()
	const behind = "/usr/lib/rabbitmq/bin/rabbitmq-server"
	if path, ok := pkitest.LookProgram(behind); ok {
		return path
	}
	return pkitest.Program(t, "rabbitmq-server")
}

// TestForRabbitMQ has a broker tell which protocol it speaks to who asks for one
// that there is not, which ends the connection.
func TestForRabbitMQ(t *testing.T) {
	t.Parallel()
	s := newGuarded(t, "server", "rabbitmq-server", "epmd", "openssl")
	var address string
	s.guard(t, &guarded{
		consumer: "rabbitmq",
		start: func(t *testing.T, config string) (p *process) {
			t.Helper()
			onFreePorts(t, 3, func(free []string) error {
				address = free[0]
				_, epmdPort := hostPort(t, free[1])
				_, distPort := hostPort(t, free[2])
				// The broker would start one that stays.
				epmd := s.start(t, "epmd -address 127.0.0.1 -port "+epmdPort)
				if err := epmd.await("epmd to be ready", func() bool { return listening(free[1]) }); err != nil {
					return err
				}
				s.write(t, "rabbitmq.conf", []byte("default_user = alice\n"+uncommented(t, "auth_mechanisms.1", listenAt(t, config, " 5671", " "+address))))
				s.write(t, "plugins", []byte("[rabbitmq_auth_mechanism_ssl].\n"))
				p = s.having(
					"ERL_EPMD_PORT="+epmdPort, "ERL_EPMD_ADDRESS=127.0.0.1",
					"RABBITMQ_NODENAME=mtlsctl@localhost", "RABBITMQ_DIST_PORT="+distPort,
					"RABBITMQ_MNESIA_BASE="+s.path("mnesia"), "RABBITMQ_LOG_BASE="+s.path("log"), "RABBITMQ_LOGS=-",
					"RABBITMQ_CONFIG_FILE="+s.path("rabbitmq.conf"), "RABBITMQ_ADVANCED_CONFIG_FILE="+s.path("advanced.config"),
					"RABBITMQ_CONF_ENV_FILE="+s.path("none"), "RABBITMQ_ENABLED_PLUGINS_FILE="+s.path("plugins"),
					"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}",
				).start(t, rabbitmqServer(t))
				return p.await("rabbitmq to be ready", func() bool { return strings.Contains(p.log(), "Server startup complete") })
			})
			return p
		},
		call: func(t *testing.T, c caller) output {
			identity := c.at.with("-cert ", " -key ")
			if c.at != "" {
				identity += "-cert_chain " + c.at.crt() + " "
			}
			return s.feed(t, "AMQP\x00\x09\x09\x00", "openssl s_client -quiet -ign_eof -verify_return_error -verify_ip 127.0.0.1 -CAfile "+ca+" "+identity+"-connect "+address)
		},
		answer:   "AMQP\x00\x00\x09\x01",
		nobody:   "Certificate required",
		stranger: "Unknown CA",
	})
	// RabbitMQ's own client logs in by its certificate, in the place of a password.
	t.Run("erlang", func(t *testing.T) {
		plugins, err := filepath.Glob("/usr/lib/rabbitmq/lib/*/plugins")
		if err != nil || len(plugins) == 0 {
			t.Skip("RabbitMQ's client is elsewhere")
		}
		for name, want := range map[string]string{"alice": "hello alice", "bob": "auth_failure"} {
			_, port := hostPort(t, address)
			lines := listenAt(t, s.exportFor(t, name, "rabbitmq", "client of "+name), ":5671", ":"+port)
			uri := strings.ReplaceAll(lines[strings.Index(lines, "amqps:"):], "HOST", "localhost") // an IP address would be taken for a name
			s.having("ERL_LIBS="+plugins[0]).run(t, "erl -noinput -boot no_dot_erlang -eval", `
				{ok, _} = application:ensure_all_started(amqp_client),
				{ok, Params} = amqp_uri:parse("`+strings.TrimSpace(uri)+`"),
				case amqp_connection:start(Params) of
					{ok, _} -> io:format("hello `+name+`~n");
					Other -> io:format("~p~n", [Other])
				end,
				halt().`).mustSay(t, want)
		}
	})
	if _, err := os.Stat(s.path("mnesia")); err != nil {
		t.Errorf("the broker keeps its data elsewhere: %v", err)
	}
}

// uncommented is a configuration with a line that stands in it as a comment.
func uncommented(t *testing.T, line, config string) string {
	t.Helper()
	return listenAt(t, config, "# "+line, line)
}
