defmodule Hello.MixProject do
  use Mix.Project

  def project do
    [app: :hello, version: "1.0.0", elixir: "~> 1.14", start_permanent: Mix.env() == :prod, deps: deps()]
  end

  def application do
    [extra_applications: [:logger, :inets], mod: {Hello.Application, []}]
  end

  defp deps do
    [{:greeting, path: "vendor/greeting"}]
  end
end
