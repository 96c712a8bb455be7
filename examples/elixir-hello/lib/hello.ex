defmodule Hello.Application do
  use Application

  def start(_type, _args) do
    port = String.to_integer(System.get_env("PORT", "8080"))
    root = String.to_charlist(System.tmp_dir!())

    options = [
      port: port,
      bind_address: {0, 0, 0, 0},
      server_name: 'hello',
      server_root: root,
      document_root: root,
      modules: [Hello]
    ]

    {:ok, server} = :inets.start(:httpd, options)
    :logger.info("listening on #{port}")
    Supervisor.start_link([], strategy: :one_for_one, name: Hello.Supervisor)
    |> then(fn {:ok, pid} -> {:ok, pid, server} end)
  end
end

defmodule Hello do
  require Record
  Record.defrecord(:mod, Record.extract(:mod, from_lib: "inets/include/httpd.hrl"))

  # a module of Erlang's httpd: answers every request
  def unquote(:do)(_request) do
    body = String.to_charlist(Greeting.of(System.get_env("CC_APP_NAME", "Elixir")))
    head = [code: 200, content_type: 'text/plain', content_length: Integer.to_charlist(length(body))]
    {:proceed, [response: {:response, head, body}]}
  end
end
