<?php

namespace Harbour;

/** The ships that lie in the harbour, in a database of this instance. */
final class Ships
{
    public function __construct(private \PDO $base)
    {
        $base->exec('CREATE TABLE IF NOT EXISTS ship (name TEXT PRIMARY KEY)');
        $base->exec("INSERT OR IGNORE INTO ship VALUES ('Heron'), ('Kelp')");
    }

    /** @return list<string> */
    public function names(): array
    {
        return $this->base->query('SELECT name FROM ship ORDER BY name')->fetchAll(\PDO::FETCH_COLUMN);
    }
}
