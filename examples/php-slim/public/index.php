<?php

use Harbour\Ships;
use Slim\App;
use Slim\Http\Request;
use Slim\Http\Response;

require __DIR__ . '/../vendor/autoload.php';
require 'Slim/autoload.php';

$app = new App();
$app->get('/', function (Request $request, Response $response) {
    return $response->write('Hello from Slim ' . App::VERSION . ' on PHP ' . PHP_VERSION . ' by ' . PHP_SAPI . "\n");
});
$app->get('/ships', function (Request $request, Response $response) {
    $ships = new Ships(new PDO('sqlite:/tmp/harbour.sqlite3'));
    return $response->write(implode(', ', $ships->names()));
});
$app->get('/settings', function (Request $request, Response $response) {
    $told = ['memory_limit' => ini_get('memory_limit'), 'precision' => ini_get('precision'), 'type' => getenv('INSTANCE_TYPE')];
    return $response->withJson($told);
});
$app->run();
