<?php

use Harbour\Ships;
use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\ServerRequestInterface;
use Slim\Factory\AppFactory;

require __DIR__ . '/../vendor/autoload.php';
require 'Slim/autoload.php';
require 'Slim/Psr7/autoload.php';

$app = AppFactory::create();
$app->get('/', function (ServerRequestInterface $request, ResponseInterface $response) {
    $response->getBody()->write('Hello from Slim ' . \Slim\App::VERSION . ' on PHP ' . PHP_VERSION . ' by ' . PHP_SAPI . "\n");
    return $response;
});
$app->get('/ships', function (ServerRequestInterface $request, ResponseInterface $response) {
    $ships = new Ships(new PDO('sqlite:/tmp/harbour.sqlite3'));
    $response->getBody()->write(implode(', ', $ships->names()));
    return $response;
});
$app->get('/settings', function (ServerRequestInterface $request, ResponseInterface $response) {
    $told = ['memory_limit' => ini_get('memory_limit'), 'precision' => ini_get('precision'), 'type' => getenv('INSTANCE_TYPE')];
    $response->getBody()->write(json_encode($told));
    return $response->withHeader('Content-Type', 'application/json');
});
$app->run();
