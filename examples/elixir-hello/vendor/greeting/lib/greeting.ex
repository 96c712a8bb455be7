defmodule Greeting do
  def of(name), do: "Hello from #{name}, Elixir #{System.version()}\n"
end
